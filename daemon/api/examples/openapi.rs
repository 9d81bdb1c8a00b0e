//! Prints the description of the API: `cargo run -p merlon-api --example openapi > docs/openapi.json`.

use std::io::{self, Write};

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &merlon_api::openapi())?;
    out.write_all(b"\n")
}
