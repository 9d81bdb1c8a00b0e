//! `merlon backup`: joins what the keeper and the engine hand over into one file. It sees ciphertext only.

use std::io::Read as _;
use std::time::{SystemTime, UNIX_EPOCH};

use merlon_sandbox::secret::SecretBuf;
use merlon_wire::admin::{Request, Response};
use serde_json::json;

use crate::admin::{Admin, unexpected};
use crate::args::BackupArgs;
use crate::backup::{Header, Listed, MAGIC, MANIFEST, MAX_PARTS, Manifest, Name, Seal, Sha256, sha256};
use crate::client::{Client, Stream};
use crate::error::CliError;
use crate::file::Output;
use crate::output::Printer;
use crate::secret;

/// Bytes at a time.
const PIECE: usize = 256 << 10;

pub(super) async fn run(args: &BackupArgs, client: &mut Client, printer: &mut Printer) -> Result<(), CliError> {
    let target = client.target().clone();
    let local = target.local("a backup is made")?;
    if !args.force && std::fs::metadata(&args.file).is_ok_and(|found| found.is_file()) {
        return Err(CliError::usage(format!("{} exists, and was left alone", args.file.display()))
            .because("a backup never replaces a file by itself")
            .hint("give another name, or --force"));
    }
    let passphrase = match &args.passphrase_file {
        Some(file) => Some(secret::from_file(file, "passphrase", printer)?),
        None => None,
    };
    let mut admin = Admin::connect(local)?;
    let request = Request::Backup { passphrase: passphrase.as_ref().map_or(&[], SecretBuf::as_slice) };
    let Response::Backup { instance, projects, state, parts } = admin.ask(&request)? else { return Err(unexpected()) };
    let mut keeper = admin.take_file().ok_or_else(unexpected)?;
    let mut writer = Writer::create(args)?;
    for part in parts {
        let name = Name::parse(&part.name).filter(|name| name.project().is_none()).ok_or_else(unexpected)?;
        writer.begin(name, part.length)?;
        let mut left = part.length;
        let mut piece = vec![0; PIECE];
        while left > 0 {
            let most = PIECE.min(usize::try_from(left).unwrap_or(PIECE));
            let read = keeper.read(&mut piece[..most]);
            let read = read.map_err(|e| CliError::failed("the keeper's part cannot be read").because(e))?;
            if read == 0 {
                return Err(unexpected());
            }
            writer.write(&piece[..read])?;
            left -= read as u64;
        }
    }
    drop(keeper);
    for id in &projects {
        let stream = client.project_backup(*id).await?;
        copy_project(*id, stream, &mut writer).await?;
    }
    let created_us = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    let created_us = i64::try_from(created_us).unwrap_or(i64::MAX);
    let bytes = writer.finish(instance, created_us, |digest| {
        // A new connection: the keeper ends one that is silent for long.
        match Admin::connect(local)?.ask(&Request::SealBackup { state, manifest: *digest })? {
            Response::BackupMac(mac) => Ok(mac),
            _ => Err(unexpected()),
        }
    })?;
    if printer.is_json() {
        return printer.json(&json!({ "file": args.file, "bytes": bytes, "projects": projects.len() }));
    }
    let many = if projects.len() == 1 { "project" } else { "projects" };
    printer.say(&format!("{}: {} {many}, {bytes} bytes", args.file.display(), projects.len()));
    Ok(())
}

/// Copies the files of one project as the engine sends them: a header line, then so many bytes.
async fn copy_project(id: u64, mut stream: Stream, writer: &mut Writer) -> Result<(), CliError> {
    let strange = || {
        CliError::failed(format!("what the engine sent of project {id} cannot be understood"))
            .hint("do both have the same version? merlon --version; merlon status")
    };
    let mut line = Vec::new();
    let mut left = 0;
    while let Some(piece) = stream.piece().await? {
        let mut piece = piece.as_ref();
        while !piece.is_empty() {
            if left > 0 {
                let take = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                writer.write(&piece[..take])?;
                left -= take as u64;
                piece = &piece[take..];
                continue;
            }
            let end = piece.iter().position(|b| *b == b'\n').map_or(piece.len(), |at| at + 1);
            line.extend_from_slice(&piece[..end]);
            piece = &piece[end..];
            if line.len() > crate::backup::MAX_HEADER {
                return Err(strange());
            }
            if line.last() == Some(&b'\n') {
                let header: Header = serde_json::from_slice(&line).map_err(|_| strange())?;
                let name = Name::parse(&header.part).filter(|name| name.project() == Some(id));
                writer.begin(name.ok_or_else(strange)?, header.length)?;
                left = header.length;
                line.clear();
            }
        }
    }
    if left > 0 || !line.is_empty() { Err(strange()) } else { Ok(()) }
}

/// Writes the file, and notes what it writes.
struct Writer {
    output: Output,
    parts: Vec<Listed>,
    digest: Sha256,
    bytes: u64,
}

impl Writer {
    fn create(args: &BackupArgs) -> Result<Self, CliError> {
        let mut output = Output::create(&args.file, 0o600)?;
        output.write(MAGIC)?;
        Ok(Self { output, parts: Vec::new(), digest: Sha256::new(), bytes: MAGIC.len() as u64 })
    }

    fn begin(&mut self, name: Name, length: u64) -> Result<(), CliError> {
        self.end();
        if self.parts.len() >= MAX_PARTS {
            return Err(CliError::failed("the instance has more files than a backup can hold")
                .because(format!("a backup has at most {MAX_PARTS} parts")));
        }
        self.raw(&Header { part: name.to_string(), length }.line())?;
        self.parts.push(Listed { name: name.to_string(), length, sha256: String::new() });
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        self.digest.update(bytes);
        self.raw(bytes)
    }

    /// The part that was begun last is whole.
    fn end(&mut self) {
        let digest = std::mem::replace(&mut self.digest, Sha256::new());
        if let Some(part) = self.parts.last_mut() {
            part.sha256 = digest.hex();
        }
    }

    /// The manifest with the MAC that `seal` gets for its digest. Returns the size of the file.
    fn finish(
        mut self,
        instance: String,
        created_us: i64,
        seal: impl FnOnce(&[u8; 32]) -> Result<[u8; 32], CliError>,
    ) -> Result<u64, CliError> {
        self.end();
        let mut manifest = Manifest::new(instance, created_us, std::mem::take(&mut self.parts)).line();
        let check = sha256(&manifest);
        let seal = Seal::new(&check, &seal(&check)?);
        manifest.push(b'\n');
        manifest.extend(serde_json::to_vec(&seal).unwrap_or_default());
        manifest.push(b'\n');
        self.raw(&Header { part: MANIFEST.to_owned(), length: manifest.len() as u64 }.line())?;
        self.raw(&manifest)?;
        self.output.finish_durably()?;
        Ok(self.bytes)
    }

    fn raw(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        self.bytes += bytes.len() as u64;
        self.output.write(bytes)
    }
}
