//! What is made: a page for each program and each of its commands, the page of the configuration, the generator's, and
//! completions for three shells.

use std::io;
use std::path::Path;

use clap::Command;
use clap_complete::{Generator, Shell};
use clap_mangen::Man;

use crate::Files;
use crate::configuration;
use crate::programs::{self, Program};

/// The page of the generator, which has no command line of its own.
const GENERATOR: &str = include_str!("merlon-generator.8");

/// All files.
///
/// # Errors
/// None but those of a writer into memory.
pub(crate) fn all() -> io::Result<Files> {
    let mut files = Files::new();
    for program in programs::all() {
        complete(&program.command, &mut files);
        let mut command = program.command.clone().disable_help_subcommand(true);
        command.build();
        page(command, &program, &mut files)?;
    }
    files.insert("man/merlon.toml.5".into(), configuration::page().into_bytes());
    files.insert("man/merlon-generator.8".into(), GENERATOR.as_bytes().to_vec());
    Ok(files)
}

/// The page of a command, and those of the commands below it. Hidden ones have none.
fn page(command: Command, program: &Program, files: &mut Files) -> io::Result<()> {
    let below: Vec<Command> = command.get_subcommands().filter(|sub| !sub.is_hide_set()).cloned().collect();
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let is_program = name == program.command.get_name();
    let man = Man::new(command).section(program.section).source("Merlon").manual("Merlon");
    let mut text = Vec::new();
    man.render(&mut text)?;
    if is_program {
        text.extend(files_section(program).into_bytes());
    }
    let also = if is_program {
        program.see_also.to_owned()
    } else {
        format!("{}({})", program.command.get_name(), program.section)
    };
    text.extend(format!(".SH \"SEE ALSO\"\n{}\n", configuration::escaped(&also)).into_bytes());
    files.insert(Path::new("man").join(format!("{name}.{}", program.section)), text);
    below.into_iter().try_for_each(|sub| page(sub, program, files))
}

fn files_section(program: &Program) -> String {
    let entries = program.files.iter().map(|(path, meaning)| {
        format!(".TP\n\\fI{}\\fR\n{}\n", configuration::escaped(path), configuration::escaped(meaning))
    });
    format!(".SH FILES\n{}", entries.collect::<String>())
}

fn complete(command: &Command, files: &mut Files) {
    for (shell, directory) in [(Shell::Bash, "bash"), (Shell::Zsh, "zsh"), (Shell::Fish, "fish")] {
        let name = command.get_name();
        // Debian's completions of bash are loaded by the bare name of the program.
        let file = if shell == Shell::Bash { name.to_owned() } else { shell.file_name(name) };
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut command.clone(), name, &mut script);
        files.insert(Path::new("completions").join(directory).join(file), script);
    }
}
