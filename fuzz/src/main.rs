//! See the library.
#![allow(
    clippy::print_stdout,
    reason = "this program says what it found, to whoever started it"
)]

use anyhow::{Context, Result, bail};
use packllm_fuzz::readers::{self, Reader};
use packllm_fuzz::{models, program};
use std::path::Path;
use std::time::Duration;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [models::CHILD, folder, from, to] => {
            let numbers = from.parse()?..to.parse()?;
            models::try_files(Path::new(folder), numbers, &mut |line| println!("{line}"));
            Ok(())
        }
        ["models", files] => of_models(files, "0"),
        ["models", files, seed] => of_models(files, seed),
        ["program", path, files] => of_program(path, files, "0"),
        ["program", path, files, seed] => of_program(path, files, seed),
        [name, seconds] => of_reader(name, seconds, "0"),
        [name, seconds, seed] => of_reader(name, seconds, seed),
        _ => bail!(
            "packllm-fuzz READER SECONDS [SEED], packllm-fuzz models FILES [SEED], or \
             packllm-fuzz program PACKLLM FILES [SEED]"
        ),
    }
}

fn of_models(files: &str, seed: &str) -> Result<()> {
    let program = std::env::current_exe()?;
    let outcome = models::run(&program, files.parse()?, seed.parse()?, Path::new("finds"))?;
    for (what, count) in &outcome.counts {
        println!("{count:7}  {what}");
    }
    println!("{:7}  end a child", outcome.finds.len());
    for (number, how) in &outcome.finds {
        println!("  seed {number}: {how}");
    }
    println!("most memory of a child: {} kB", outcome.peak);
    Ok(())
}

fn of_program(path: &str, files: &str, seed: &str) -> Result<()> {
    let path = Path::new(path);
    let outcome = program::run(path, files.parse()?, seed.parse()?, Path::new("finds"))?;
    for (what, count) in &outcome.counts {
        println!("{count:7}  {what}");
    }
    println!("{:7}  anything else", outcome.finds.len());
    for (number, how) in &outcome.finds {
        println!("  seed {number}: {how}");
    }
    Ok(())
}

fn of_reader(name: &str, seconds: &str, seed: &str) -> Result<()> {
    let known = Reader::ALL.iter().find(|(known, _)| *known == name);
    let names = Reader::ALL.map(|(name, _)| name).join(", ");
    let (_, reader) = known.with_context(|| format!("no reader {name}: {names}"))?;
    let time = Duration::from_secs(seconds.parse()?);
    let read = readers::run(*reader, time, u64::MAX, seed.parse()?)?;
    println!("{name}: {read} damaged files in {seconds} s");
    Ok(())
}
