//! Which files a confined process may open: Landlock.

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd,
    PathFdError, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
    make_bitflags,
};
use std::path::{Path, PathBuf};

/// What has to be there, of Linux 5.13; and what is used where it is. What came after it is refused
/// by system calls as well: sockets, truncating by path, signals to others.
const NEEDED: ABI = ABI::V1;
const KNOWN: ABI = ABI::V10;

/// What programs are linked with on the systems that there are, and what Python's modules read.
const SYSTEM: [&str; 9] = [
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/nix/store",
    "/gnu/store",
    "/etc/ld.so.cache",
    "/usr/share/zoneinfo",
];

#[derive(Debug, thiserror::Error)]
pub(super) enum FilesError {
    #[error(
        "this needs Landlock of Linux 5.13 or newer, and it to be switched on (see `lsm=` of the kernel's \
         command line): {0}"
    )]
    Kernel(#[from] RulesetError),
    #[error("this needs Landlock, which this kernel does not enforce")]
    NotEnforced,
    #[error("{0}")]
    Path(#[from] PathFdError),
}

/// From now on this process opens files of the working folder, and reads `libraries` and those of
/// the system. It may run `interpreter`, and what lies among the libraries, as the dynamic linker
/// does.
pub(super) fn restrict(interpreter: &Path, libraries: &[PathBuf]) -> Result<(), FilesError> {
    let library = make_bitflags!(AccessFs::{ReadFile | ReadDir | Execute});
    let own = make_bitflags!(AccessFs::{
        ReadFile | ReadDir | WriteFile | Truncate | MakeReg | RemoveFile
    });
    let mut rules = vec![
        rule(Path::new("."), own)?,
        rule(interpreter, library)?,
        rule(
            Path::new("/dev/null"),
            make_bitflags!(AccessFs::{ReadFile | WriteFile}),
        )?,
        rule(Path::new("/dev/urandom"), AccessFs::ReadFile.into())?,
    ];
    let system = SYSTEM.iter().map(Path::new).filter(|path| path.exists());
    for path in system.chain(libraries.iter().map(PathBuf::as_path)) {
        rules.push(rule(path, library)?);
    }
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(NEEDED))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(KNOWN))?
        .handle_access(AccessNet::from_all(KNOWN))?
        .scope(Scope::from_all(KNOWN))?
        .create()?
        .add_rules(rules.into_iter().map(Ok::<_, RulesetError>))?
        .restrict_self()?;
    if status.ruleset == RulesetStatus::NotEnforced || !status.no_new_privs {
        return Err(FilesError::NotEnforced);
    }
    Ok(())
}

/// Allows `access` beneath a folder, or as much of it as a file can have.
fn rule(path: &Path, access: BitFlags<AccessFs>) -> Result<PathBeneath<PathFd>, PathFdError> {
    let folder = path.is_dir();
    let possible = if folder {
        access
    } else {
        access & AccessFs::from_file(KNOWN)
    };
    Ok(PathBeneath::new(PathFd::new(path)?, possible))
}
