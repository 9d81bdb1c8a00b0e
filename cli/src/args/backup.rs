//! Arguments of `backup` and `restore`.

use std::path::PathBuf;

use clap::Args;

/// Back the instance up into one encrypted file, while it runs (on its host)
#[derive(Args, Debug)]
#[command(long_about = "\
Back the instance up into one encrypted file, while it runs (on its host).

The file holds all projects, secrets.db and the audit log, as ciphertext. It is opened by what a person has: a \
recovery key that was typed back, a passphrase of the instance, or one for this backup only (--passphrase-file). No \
slot of the machine (TPM, token, key file) goes with it. Traffic goes on meanwhile; what is recorded after the copy of \
a project began is not in the backup. The configuration is not in it either.

Examples:
  merlon backup /mnt/usb/lab.merlon
  merlon backup lab.merlon --passphrase-file pass.txt
  merlon backup --force /mnt/usb/lab.merlon")]
pub(crate) struct BackupArgs {
    /// The file to write, mode 0600
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Let the passphrase in this file open the backup, too (8 to 1024 bytes; one line end does not count)
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Replace the file if there is one, once the new one is whole
    #[arg(long)]
    pub(crate) force: bool,
}

/// Lay a backup out as a new instance's directory
#[derive(Args, Debug)]
#[command(long_about = "\
Lay a backup out as a new instance's directory, --data-dir, which must be empty or not exist. Checks every part against \
the backup's manifest; if anything was altered or is missing, nothing is laid out. No key is needed for this.

Then start the instance and unlock it with the recovery key or the passphrase. The first unlocking checks that the \
manifest is authentic, and makes the slot by which this machine opens the instance at start.

Examples:
  merlon restore /mnt/usb/lab.merlon --data-dir ./lab
  merlond run --data-dir ./lab
  merlon --data-dir ./lab unlock --recovery-file key.txt")]
pub(crate) struct RestoreArgs {
    /// The backup
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}
