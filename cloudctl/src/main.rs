//! The program. What it does is in the library of the same name, where fuzz targets reach it too.

use std::process::ExitCode;

fn main() -> ExitCode {
    cloudctl::main()
}
