//! What no engine is told of a machine: the environment that comes from Secrets, and the command where it names them. It
//! is a file set like another, in memory only, which the machine's first program reads at each start.

use std::collections::BTreeMap;
use std::fmt;

use crate::{EnvVar, FileSet, ProjectedFile};

/// Everybody inside the machine may read it, whoever its user is.
const MODE: u32 = 0o444;

/// The hidden part of an environment and a command. Neither is shown by `Debug`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretEnvironment {
    /// Variables, in addition to those of the machine.
    pub variables: Vec<EnvVar>,
    /// The command in full; `None` where the machine's own names no secret.
    pub command: Option<Vec<String>>,
    /// The arguments in full; `None` where the machine's own name no secret.
    pub args: Option<Vec<String>>,
}

impl SecretEnvironment {
    /// The name of its file set. Those of mounts end with a digest.
    pub const SET: &str = "environment";
    /// The only file in it.
    pub const FILE: &str = "environment";

    /// The file set that a machine with [`has_secret_environment`](crate::MachineSpec::has_secret_environment) reads.
    ///
    /// Its file has entries that end with NUL, each a letter and a text: `V` a variable (`NAME=VALUE`), `C` a word of the
    /// command, `A` an argument. What reads it skips letters that it doesn't know.
    pub fn file_set(&self) -> FileSet {
        let mut content = Vec::new();
        let mut put = |kind: u8, text: &str| {
            content.push(kind);
            // NUL ends a word for the kernel, too.
            content.extend(text.bytes().filter(|byte| *byte != 0));
            content.push(0);
        };
        for variable in &self.variables {
            put(b'V', &format!("{}={}", variable.name, variable.value));
        }
        self.command.iter().flatten().for_each(|word| put(b'C', word));
        self.args.iter().flatten().for_each(|word| put(b'A', word));
        let file = ProjectedFile { content: content.into(), mode: MODE };
        FileSet { name: Self::SET.to_owned(), files: BTreeMap::from([(Self::FILE.to_owned(), file)]) }
    }
}

impl fmt::Debug for SecretEnvironment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = |words: &Option<Vec<String>>| words.as_ref().map(Vec::len);
        formatter
            .debug_struct("SecretEnvironment")
            .field("variables", &self.variables)
            .field("command", &words(&self.command))
            .field("args", &words(&self.args))
            .finish()
    }
}
