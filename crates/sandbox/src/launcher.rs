use std::ffi::OsString;
use std::path::PathBuf;

/// A program that calls [`confine_and_exec`](crate::confine_and_exec) with the arguments that
/// follow its own.
#[derive(Debug, Clone)]
pub struct Launcher {
    /// Its file.
    pub program: PathBuf,
    /// What comes first on its command line.
    pub arguments: Vec<OsString>,
}

impl Launcher {
    /// `program` with `arguments`, which lead to `confine_and_exec`.
    pub fn new<A: Into<OsString>>(
        program: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Launcher {
        Launcher {
            program: program.into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
        }
    }
}
