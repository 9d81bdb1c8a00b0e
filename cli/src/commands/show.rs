//! `merlon show`: one flow, its facts for people, or its bytes for programs.

use merlon_api::{FlowDetail, Message, Tls};

use super::flows::{milliseconds, size, status, time, url};
use crate::args::{ByteRange, ShowArgs, Side};
use crate::client::{Client, Stream};
use crate::error::{CliError, Exit};
use crate::file::Output;
use crate::output::{Cell, Printer, Tone};

pub(super) async fn run(args: &ShowArgs, client: &mut Client, printer: &mut Printer) -> Result<(), CliError> {
    let detail = client.flow(args.id).await?;
    let (side, with_head) = match (args.raw, args.body) {
        (Some(side), _) => (side, true),
        (None, Some(side)) => (side, false),
        (None, None) if args.output.is_some() => {
            return Err(CliError::usage("--output needs to know what to write")
                .hint(format!("merlon show {} --body response -o FILE", args.id)));
        }
        (None, None) if printer.is_json() => return printer.json(&detail),
        (None, None) => return for_people(&detail, printer),
    };
    let message = match side {
        Side::Request => &detail.request,
        Side::Response => detail.response.as_ref().ok_or_else(|| {
            CliError::new(Exit::NothingFound, format!("flow {} has no response", args.id))
                .because(detail.flow.error.as_deref().unwrap_or("it is still under way, or the origin sent none"))
        })?,
    };
    if message.body_stored < message.body_bytes {
        printer.warn(&format!(
            "only the first {} of {} bytes of this body were kept (`recording.max_body_bytes`)",
            message.body_stored, message.body_bytes
        ));
    }
    let mut sink = match &args.output {
        Some(path) => Sink::File(Output::create(path, 0o600)?),
        None => Sink::Print(printer),
    };
    if with_head {
        sink.copy(client.head(args.id, side).await?).await?;
    }
    let range = args.range.unwrap_or(ByteRange::ALL);
    if message.body_stored > 0 || range != ByteRange::ALL {
        sink.copy(client.body(args.id, side, range).await?).await?;
    }
    sink.finish()
}

/// Where raw bytes go.
enum Sink<'a> {
    File(Output),
    Print(&'a mut Printer),
}

impl Sink<'_> {
    async fn copy(&mut self, mut stream: Stream) -> Result<(), CliError> {
        while let Some(piece) = stream.piece().await? {
            match self {
                Self::File(file) => file.write(&piece)?,
                Self::Print(printer) => printer.bytes(&piece)?,
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<(), CliError> {
        match self {
            Self::File(file) => file.finish(),
            Self::Print(printer) if printer.out_is_terminal() => printer.line(""),
            Self::Print(_) => Ok(()),
        }
    }
}

fn for_people(detail: &FlowDetail, printer: &mut Printer) -> Result<(), CliError> {
    let flow = &detail.flow;
    let text = |text: &Option<String>| text.as_deref().unwrap_or("-").to_owned();
    let mut fields: Vec<(&str, Cell)> = vec![
        ("flow", flow.id.to_string().into()),
        ("url", url(flow).into()),
        ("method", flow.method.as_str().into()),
        ("status", status(flow)),
        ("time", format!("{} UTC", time(&flow.time.to_string())).into()),
    ];
    let duration = flow.duration_us.map_or_else(|| "under way".to_owned(), |us| format!("{} ms", milliseconds(us)));
    let first = detail.first_byte_us.map(|us| format!(", first byte after {} ms", milliseconds(us.into())));
    fields.push(("took", format!("{duration}{}", first.unwrap_or_default()).into()));
    if let Some(error) = &flow.error {
        fields.push(("error", Cell::toned(error, Tone::Bad)));
    }
    fields.push(("client", text(&detail.client_address).into()));
    let reused = if detail.connection_reused { ", on a connection that was open already" } else { "" };
    fields.push(("origin", format!("{}{reused}", text(&detail.server_address)).into()));
    if let Some(facts) = &detail.client_tls {
        fields.push(("tls to client", tls(facts).into()));
    }
    if let Some(facts) = &detail.server_tls {
        fields.push(("tls to origin", tls(facts).into()));
    }
    if let Some(hash) = &detail.server_certificate_sha256 {
        fields.push(("origin's cert", format!("SHA-256 {hash}").into()));
    }
    printer.fields(fields)?;
    message("request", flow.id, &detail.request, printer)?;
    match &detail.response {
        Some(response) => message("response", flow.id, response, printer),
        None => Ok(()),
    }
}

fn tls(facts: &Tls) -> String {
    let name = facts.server_name.as_ref().map(|name| format!(", SNI {name}")).unwrap_or_default();
    let alpn = facts.alpn.as_ref().map(|alpn| format!(", ALPN {alpn}")).unwrap_or_default();
    format!("{} {}{name}{alpn}", facts.version, facts.cipher)
}

fn message(side: &str, id: i64, message: &Message, printer: &mut Printer) -> Result<(), CliError> {
    printer.line("")?;
    printer.toned_line(side, Tone::Title)?;
    // The exact bytes, not the text: what is not UTF-8 is shown as what it is.
    match data_encoding::BASE64.decode(message.head_base64.as_bytes()) {
        Ok(head) => printer.visible(head.trim_ascii_end())?,
        Err(_) => printer.visible(message.head.trim_end().as_bytes())?,
    }
    let kept = if message.body_stored < message.body_bytes {
        format!(", {} kept", size(message.body_stored))
    } else {
        String::new()
    };
    let how = if message.body_stored > 0 { format!(": merlon show {id} --body {side}") } else { String::new() };
    printer.toned_line(&format!("body of {}{kept}{how}", size(message.body_bytes)), Tone::Faint)
}
