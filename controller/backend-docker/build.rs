//! Builds the init of containers, a static program that is part of this crate as bytes.

use std::env;
use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=init/main.rs");
    let variable = |name: &str| env::var_os(name).unwrap_or_else(|| panic!("cargo sets `{name}`"));
    let out = PathBuf::from(variable("OUT_DIR")).join("init");
    let mut rustc = Command::new(variable("RUSTC"));
    rustc.args(["--edition", "2024", "--crate-name", "init", "--target"]).arg(variable("TARGET"));
    rustc.args(["-C", "target-feature=+crt-static", "-C", "panic=abort", "-C", "strip=symbols", "-O"]);
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut option = std::ffi::OsString::from("linker=");
        option.push(linker);
        rustc.arg("-C").arg(option);
    }
    let status = rustc.arg("-o").arg(out).arg("init/main.rs").status();
    let status = status.unwrap_or_else(|error| panic!("run rustc for the init of containers: {error}"));
    assert!(
        status.success(),
        "the init of containers can't be built; it is linked statically, which needs libc.a (in Debian: `libc6-dev`)"
    );
}
