//! `merlon project`: lists, creates, opens and deletes projects.

use merlon_api::{CreateProject, Project};

use super::flows::time;
use crate::args::ProjectCommand;
use crate::client::Client;
use crate::error::{CliError, Exit};
use crate::output::{Cell, Column, Printer, Tone};
use crate::secret;
use crate::target::quoted;

const COLUMNS: [Column; 4] =
    [Column::right("ID"), Column::left("NAME").shrinking(), Column::left("CREATED (UTC)"), Column::left("STATE")];

pub(super) async fn run(command: &ProjectCommand, client: &mut Client, printer: &mut Printer) -> Result<(), CliError> {
    match command {
        ProjectCommand::List => list(&client.projects().await?, printer),
        ProjectCommand::Create(args) => {
            let mut project = client.create_project(&CreateProject { name: args.name.clone() }).await?;
            if args.open {
                project = client.open_project(project.id).await?;
            }
            if printer.is_json() {
                return printer.json(&project);
            }
            printer.line(&project.id.to_string())?;
            match project.open {
                true => printer.say(&format!("recording into project `{}` from now on", project.name)),
                false => printer.say(&format!("created; to record into it: merlon project open {}", project.id)),
            }
            Ok(())
        }
        ProjectCommand::Open(args) => {
            let id = find(&args.project, client).await?.id;
            let project = client.open_project(id).await?;
            if printer.is_json() {
                return printer.json(&project);
            }
            printer.say(&format!("recording into project `{}` from now on", project.name));
            Ok(())
        }
        ProjectCommand::Delete(args) => {
            let project = find(&args.project, client).await?;
            if !args.yes {
                let prompt = format!(
                    "Project `{}` and all it recorded can never be read again. Type its name to delete it: ",
                    project.name
                );
                let instead = format!("merlon project delete {} --yes", quoted(&args.project));
                let typed = secret::ask(&prompt, true, &instead, printer)?;
                if typed.as_slice() != project.name.as_bytes() {
                    return Err(
                        CliError::failed("nothing was deleted").because("what was typed is not the project's name")
                    );
                }
            }
            client.delete_project(project.id).await?;
            printer.say(&format!("deleted project `{}`", project.name));
            Ok(())
        }
    }
}

fn list(projects: &[Project], printer: &mut Printer) -> Result<(), CliError> {
    if printer.is_json() {
        return projects.iter().try_for_each(|project| printer.json(project));
    }
    let rows: Vec<Vec<Cell>> = projects
        .iter()
        .map(|project| {
            let state = if project.open { Cell::toned("open", Tone::Good) } else { "".into() };
            vec![
                project.id.to_string().into(),
                project.name.as_str().into(),
                time(&project.created.to_string()).into(),
                state,
            ]
        })
        .collect();
    printer.table(&COLUMNS, &rows)
}

/// By name, or else by id: a project may be named `3`.
async fn find(wanted: &str, client: &mut Client) -> Result<Project, CliError> {
    let mut projects = client.projects().await?;
    let at = projects
        .iter()
        .position(|project| project.name == wanted)
        .or_else(|| projects.iter().position(|project| wanted.parse() == Ok(project.id)));
    match at {
        Some(at) => Ok(projects.swap_remove(at)),
        None => {
            Err(CliError::new(Exit::NothingFound, format!("there is no project `{wanted}`"))
                .hint("merlon project list"))
        }
    }
}
