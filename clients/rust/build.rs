//! Compiles the protos; protox needs no protoc on the machine.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new("../../protos");
    println!("cargo:rerun-if-changed={}", root.join("hooke/v1").display());
    let mut protos = fs::read_dir(root.join("hooke/v1"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<PathBuf>, _>>()?;
    protos.sort();
    tonic_prost_build::configure()
        .build_server(false)
        .compile_fds(protox::compile(protos, [root])?)?;
    Ok(())
}
