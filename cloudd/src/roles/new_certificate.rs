//! Makes a client certificate with the authority of this installation, and a kubeconfig around it.

use std::path::Path;

use anyhow::Context as _;
use apiserver::{Clock as _, SystemClock, tls};

use crate::args::NewCertificateArgs;
use crate::{kubeconfig, state};

/// Makes it, and says how it is used.
///
/// # Errors
/// There is no authority, the names can't be given, or the file is there already.
pub(crate) fn run(args: &NewCertificateArgs) -> anyhow::Result<()> {
    let server = match &args.server {
        Some(server) => server.clone(),
        None => {
            let path = kubeconfig::beside(&args.data_dir);
            kubeconfig::server_of(&path).with_context(|| {
                format!("{} names no server; say with --server how {} reaches it", path.display(), args.user)
            })?
        }
    };
    let (pki, now) = (state::pki_dir(&args.data_dir), SystemClock.now());
    let issued = tls::client_certificate(&pki, &args.user, &args.groups, args.days, now).context("the certificate")?;
    let output = Path::new(&args.output);
    kubeconfig::write_certificate(output, &server, &args.user, &issued)
        .with_context(|| format!("write {}", output.display()))?;
    let (file, ends) = (output.display(), issued.ends);
    println!(
        "{file} lets in {} at {server} until {ends}. Nobody can take it back before: keep it as a password is kept.",
        args.user
    );
    println!("kubectl --kubeconfig {file} auth whoami");
    println!("cloudctl --kubeconfig {file} whoami");
    Ok(())
}
