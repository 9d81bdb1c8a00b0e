//! What the command line leads to before anything is opened: the configuration. The environment decides nothing here:
//! whoever could set it would choose the TPM that is spoken to.

use merlon_config::{Config, Layer, Layers};

use crate::command_line::Arguments;
use crate::exit::Fatal;

impl Arguments {
    /// The configuration, from the file only.
    pub(crate) fn configuration(&self) -> Result<Config, Fatal> {
        let mut layers = Layers::default();
        if let Some(path) = &self.config {
            match std::fs::read_to_string(path) {
                Ok(text) => layers.push(Layer::file(&path.to_string_lossy(), &text)?),
                Err(source) => return Err(Fatal::Unreadable { path: path.clone(), source }),
            }
        }
        Ok(layers.resolve()?.config)
    }
}
