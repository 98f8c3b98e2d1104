use std::ffi::OsString;
use std::path::PathBuf;

/// A program that calls [`confine_and_exec`](crate::confine_and_exec) with the arguments that
/// follow its own.
#[derive(Debug, Clone)]
pub struct Launcher {
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "nothing is launched")
    )]
    pub(crate) program: PathBuf,
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "nothing is launched")
    )]
    pub(crate) arguments: Vec<OsString>,
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
