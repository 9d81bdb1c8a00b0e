//! The only place that prints. Data goes to standard output, talk to standard error.
//!
//! Owns colours, the terminal's width, and escaping: whatever comes in as text is made safe here, so that a host name
//! or a header field chosen by an attacker cannot write to the user's terminal. Raw bytes pass only where standard
//! output is not a terminal.

pub(crate) mod escape;
mod table;

use std::io::{self, BufWriter, IsTerminal as _, Stdout, Write as _};

use serde::Serialize;

pub(crate) use table::{Cell, Column, Layout, Tone};

use crate::args::{ColourChoice, Format};
use crate::env::Env;
use crate::error::CliError;

/// Prints.
pub(crate) struct Printer {
    out: BufWriter<Stdout>,
    format: Format,
    quiet: bool,
    out_is_terminal: bool,
    colour_out: bool,
    colour_err: bool,
    width: Option<usize>,
    /// What names the instance on the command line, for commands to paste; mostly nothing.
    instance_flags: String,
}

impl Printer {
    pub(crate) fn new(choice: ColourChoice, format: Format, quiet: bool, env: &Env) -> Self {
        let out_is_terminal = io::stdout().is_terminal();
        let colour = |terminal| wants_colour(choice, env, terminal);
        Self {
            out: BufWriter::new(io::stdout()),
            format,
            quiet,
            out_is_terminal,
            colour_out: colour(out_is_terminal),
            colour_err: colour(io::stderr().is_terminal()),
            width: out_is_terminal.then(|| terminal_width().unwrap_or(80)),
            instance_flags: String::new(),
        }
    }

    /// `--json`?
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Commands in hints shall mean the same instance: with these flags.
    pub(crate) fn name_instance(&mut self, flags: String) {
        self.instance_flags = flags;
    }

    /// A hint whose commands (`merlon ...`, but not those on another host) name the instance.
    pub(crate) fn pasteable(&self, hint: &str) -> String {
        if self.instance_flags.is_empty() || hint.contains("ssh ") {
            return hint.to_owned();
        }
        hint.replace("merlon ", &format!("merlon {} ", self.instance_flags))
    }

    /// A message in which commands stand in backticks.
    pub(crate) fn quoting(&self, message: &str) -> String {
        if self.instance_flags.is_empty() {
            return message.to_owned();
        }
        message.replace("`merlon ", &format!("`merlon {} ", self.instance_flags))
    }

    pub(crate) fn out_is_terminal(&self) -> bool {
        self.out_is_terminal
    }

    /// One value, one line.
    pub(crate) fn json<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CliError> {
        let text =
            serde_json::to_string(value).map_err(|e| CliError::failed("the answer has no JSON form").because(e))?;
        self.write(escape::json(&text).as_bytes())?;
        self.write(b"\n")
    }

    /// One line of data.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), CliError> {
        self.toned_line(text, Tone::Plain)
    }

    pub(crate) fn toned_line(&mut self, text: &str, tone: Tone) -> Result<(), CliError> {
        let painted = paint(&escape::line(text), tone, self.colour_out);
        self.write(painted.as_bytes())?;
        self.write(b"\n")
    }

    /// A secret that the user shall have, alone on a line of standard output, past every buffer of this process.
    pub(crate) fn secret_line(&mut self, secret: &str) -> Result<(), CliError> {
        self.flush()?;
        write_through(secret.as_bytes())?;
        write_through(b"\n")
    }

    /// A JSON object with a secret as its last member, past every buffer of this process.
    pub(crate) fn secret_json<T: Serialize>(&mut self, rest: &T, name: &str, secret: &str) -> Result<(), CliError> {
        let text =
            serde_json::to_string(rest).map_err(|e| CliError::failed("the answer has no JSON form").because(e))?;
        let plain = secret.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
        let (Some(start), true) = (text.strip_suffix('}'), plain) else {
            return Err(
                CliError::failed("the keeper's answer cannot be understood").because("a secret has foreign characters")
            );
        };
        self.flush()?;
        write_through(format!("{},\"{name}\":\"", escape::json(start)).as_bytes())?;
        write_through(secret.as_bytes())?;
        write_through(b"\"}\n")
    }

    /// Several lines of data; ends with a line end.
    pub(crate) fn block(&mut self, text: &str) -> Result<(), CliError> {
        let safe = escape::block(text);
        self.write(safe.as_bytes())?;
        if safe.ends_with('\n') || safe.is_empty() { Ok(()) } else { self.write(b"\n") }
    }

    /// Raw bytes for a pipe or file; made visible where standard output is a terminal.
    pub(crate) fn bytes(&mut self, raw: &[u8]) -> Result<(), CliError> {
        if self.out_is_terminal { self.write(escape::bytes(raw).as_bytes()) } else { self.write(raw) }
    }

    /// Raw bytes made visible, wherever they go; ends with a line end.
    pub(crate) fn visible(&mut self, raw: &[u8]) -> Result<(), CliError> {
        self.raw_line(&escape::bytes(raw))
    }

    /// A whole table with its header.
    pub(crate) fn table(&mut self, columns: &[Column], rows: &[Vec<Cell>]) -> Result<(), CliError> {
        let layout = self.layout(columns, rows);
        self.header(&layout)?;
        rows.iter().try_for_each(|row| self.row(&layout, row))
    }

    /// Names and values, one a line, aligned.
    pub(crate) fn fields(&mut self, fields: Vec<(&str, Cell)>) -> Result<(), CliError> {
        const COLUMNS: [Column; 2] = [Column::left(""), Column::left("")];
        let rows: Vec<Vec<Cell>> =
            fields.into_iter().map(|(name, value)| vec![Cell::toned(name, Tone::Title), value]).collect();
        let layout = self.layout(&COLUMNS, &rows);
        rows.iter().try_for_each(|row| self.row(&layout, row))
    }

    /// Widths for rows that are printed one by one.
    pub(crate) fn layout<'a>(&self, columns: &'a [Column], rows: &[Vec<Cell>]) -> Layout<'a> {
        Layout::fit(columns, rows, self.width)
    }

    pub(crate) fn header(&mut self, layout: &Layout<'_>) -> Result<(), CliError> {
        let colour = self.colour_out;
        let line = layout.header(&|text, tone| paint(text, tone, colour));
        self.raw_line(&line)
    }

    pub(crate) fn row(&mut self, layout: &Layout<'_>, cells: &[Cell]) -> Result<(), CliError> {
        let colour = self.colour_out;
        let line = layout.row(cells, &|text, tone| paint(text, tone, colour));
        self.raw_line(&line)
    }

    /// What was printed reaches the reader now: before a prompt, between live rows, and at the end.
    pub(crate) fn flush(&mut self) -> Result<(), CliError> {
        self.out.flush().map_err(|e| CliError::from_output(&e))
    }

    /// A line for the person at the terminal, on standard error; nothing with `--quiet`.
    pub(crate) fn say(&self, text: &str) {
        if !self.quiet {
            self.err_line(&escape::block(&self.pasteable(text)));
        }
    }

    /// A line that the person at the terminal cannot do without, also with `--quiet`.
    pub(crate) fn tell(&self, text: &str) {
        self.err_line(&escape::block(text));
    }

    /// Something that the user must know of what was done, also with `--quiet`.
    pub(crate) fn note(&self, text: &str) {
        self.err_line(&format!(
            "{} {}",
            paint("note:", Tone::Faint, self.colour_err),
            escape::block(&self.quoting(text))
        ));
    }

    /// Something that needs attention but did not stop the command.
    pub(crate) fn warn(&self, text: &str) {
        self.err_line(&format!(
            "{} {}",
            paint("warning:", Tone::Warn, self.colour_err),
            escape::block(&self.pasteable(text))
        ));
    }

    /// A prompt, without a line end.
    pub(crate) fn prompt(&mut self, text: &str) -> Result<(), CliError> {
        self.flush()?;
        let mut err = io::stderr();
        let _ = write!(err, "{}", escape::line(text)).and_then(|()| err.flush());
        Ok(())
    }

    /// What failed, why, and what to do.
    pub(crate) fn error(&self, error: &CliError) {
        if error.is_silent() {
            return;
        }
        self.err_line(&format!(
            "{} {}",
            paint("error:", Tone::Bad, self.colour_err),
            escape::block(&self.quoting(&error.what))
        ));
        if let Some(why) = &error.why {
            self.err_line(&format!("  {}", escape::block(&self.quoting(why)).replace('\n', "\n  ")));
        }
        if let Some(hint) = &error.hint {
            self.err_line(&format!(
                "{} {}",
                paint("hint:", Tone::Faint, self.colour_err),
                escape::block(&self.pasteable(hint))
            ));
        }
    }

    fn raw_line(&mut self, line: &str) -> Result<(), CliError> {
        self.write(line.as_bytes())?;
        self.write(b"\n")
    }

    fn write(&mut self, raw: &[u8]) -> Result<(), CliError> {
        self.out.write_all(raw).map_err(|e| CliError::from_output(&e))
    }

    fn err_line(&self, line: &str) {
        // Nobody is left to be told if standard error is gone.
        let _ = writeln!(io::stderr(), "{line}");
    }
}

/// `--color`, then NO_COLOR, then CLICOLOR_FORCE, then whether there is a terminal that can.
fn wants_colour(choice: ColourChoice, env: &Env, terminal: bool) -> bool {
    match choice {
        ColourChoice::Always => true,
        ColourChoice::Never => false,
        ColourChoice::Auto if env.no_color => false,
        ColourChoice::Auto if env.clicolor_force => true,
        ColourChoice::Auto => terminal && !env.dumb_terminal,
    }
}

fn paint(text: &str, tone: Tone, colour: bool) -> String {
    let code = match tone {
        _ if !colour || text.is_empty() => return text.to_owned(),
        Tone::Plain => return text.to_owned(),
        Tone::Title => "1",
        Tone::Good => "32",
        Tone::Warn => "33",
        Tone::Bad => "31",
        Tone::Faint => "36",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

fn write_through(mut bytes: &[u8]) -> Result<(), CliError> {
    while !bytes.is_empty() {
        match nix::unistd::write(io::stdout(), bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(nix::errno::Errno::EINTR) => {}
            Err(e) => return Err(CliError::from_output(&e.into())),
        }
    }
    Ok(())
}

fn terminal_width() -> Option<usize> {
    terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)).filter(|&width| width >= 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_to_paste_name_the_same_instance() {
        let mut printer = Printer::new(ColourChoice::Never, Format::People, false, &Env::default());
        assert_eq!(printer.pasteable("merlon status"), "merlon status");
        printer.name_instance("--data-dir x".to_owned());
        for (hint, expected) in [
            ("merlon unlock", "merlon --data-dir x unlock"),
            ("merlon a, then merlon b", "merlon --data-dir x a, then merlon --data-dir x b"),
            ("sudo merlon doctor", "sudo merlon --data-dir x doctor"),
            ("ssh h merlon status", "ssh h merlon status"),
            ("merlond run --data-dir x", "merlond run --data-dir x"),
        ] {
            assert_eq!(printer.pasteable(hint), expected, "{hint}");
        }
    }

    #[test]
    fn a_message_names_the_instance_in_its_commands_only() {
        let mut printer = Printer::new(ColourChoice::Never, Format::People, false, &Env::default());
        let text = "merlon does not replace it: `merlon keyslot reseal 1`";
        assert_eq!(printer.quoting(text), text);
        printer.name_instance("--instance x".to_owned());
        assert_eq!(printer.quoting(text), "merlon does not replace it: `merlon --instance x keyslot reseal 1`");
    }

    #[test]
    fn colours_follow_flag_then_environment_then_terminal() {
        let env =
            |no_color, clicolor_force, dumb_terminal| Env { no_color, clicolor_force, dumb_terminal, ..Env::default() };
        let auto = |env: &Env, terminal| wants_colour(ColourChoice::Auto, env, terminal);
        assert!(auto(&env(false, false, false), true));
        assert!(!auto(&env(false, false, false), false));
        assert!(!auto(&env(false, false, true), true));
        assert!(auto(&env(false, true, false), false));
        assert!(!auto(&env(true, true, false), true));
        assert!(wants_colour(ColourChoice::Always, &env(true, false, true), false));
        assert!(!wants_colour(ColourChoice::Never, &env(false, true, false), true));
    }
}
