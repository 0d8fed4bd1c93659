//! The project's own chores: `tidy` checks the house rules, `gen` writes the files that are made from the code.

mod generate;
mod tidy;

use std::path::PathBuf;

use clap::Parser;

/// Chores of this checkout.
#[derive(Parser)]
enum Chore {
    /// Check the house rules: layout, dependency arrows, pure plans, generated files.
    Tidy,
    /// Write the CustomResourceDefinitions and the reference of the kinds anew.
    Gen,
}

fn main() -> anyhow::Result<()> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    match Chore::parse() {
        Chore::Gen => generate::write(&root),
        Chore::Tidy => {
            let mut findings = tidy::check(&root)?;
            findings.extend(generate::stale(&root)?);
            for finding in &findings {
                eprintln!("{finding}");
            }
            if !findings.is_empty() {
                eprintln!("{} house rules are broken", findings.len());
                std::process::exit(1);
            }
            Ok(())
        }
    }
}
