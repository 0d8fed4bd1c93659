//! `ssh`: logs in to a machine with this host's own `ssh`, through a forwarded connection. Decides how `ssh` is called;
//! keys and passwords are between `ssh` and the machine.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::targets::{self, Named};
use crate::api::Catalog;
use crate::args::Global;
use crate::args::instances::SshArgs;
use crate::connect;
use crate::error::{Error, Exit};
use crate::output::Screen;

/// Logs in; the exit code of `ssh` becomes ours.
pub(super) async fn run(args: &SshArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    let session = connect::connect(global, screen).await?;
    let catalog = Catalog::fetch(&session).await?;
    let (user, target) = match args.target.rsplit_once('@') {
        Some((user, target)) => (Some(user), target),
        None => (None, args.target.as_str()),
    };
    let named = targets::with_stream(target, "portforward", &catalog, session.namespace())?;
    let object = session.get(&named.path()).await?;
    let known_hosts = known_hosts().ok_or_else(|| {
        Error::Failed("neither CLOUD_HOME nor HOME is set: there is no place to keep the machine's host key".to_owned())
    })?;
    if let Some(folder) = known_hosts.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|error| Error::Failed(format!("`{}` can't be made: {error}", folder.display())))?;
    }
    let program =
        std::env::current_exe().map_err(|error| Error::Failed(format!("no way to call cloudctl: {error}")))?;
    let proxy = Proxy { program: &program, kubeconfig: session.file(), context: session.context(), args, global };
    let arguments = arguments(&proxy, user, &named, &object, &known_hosts);
    let status = tokio::process::Command::new("ssh").args(arguments).status().await.map_err(|error| {
        if error.kind() == ErrorKind::NotFound {
            Error::Failed(
                "`ssh` is not installed here: install your system's OpenSSH client (Debian: `apt install openssh-client`)"
                    .to_owned(),
            )
        } else {
            Error::Failed(format!("`ssh` can't be started: {error}"))
        }
    })?;
    match status.code().or_else(|| status.signal().map(|signal| 128 + signal)) {
        Some(0) => Ok(()),
        code => Err(Error::Silent(Exit::Remote(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))),
    }
}

/// Keys of machines have a file of their own: names there are uids, which no other host has.
fn known_hosts() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = folder("CLOUD_HOME").or_else(|| Some(folder("HOME")?.join(".cloud")))?;
    Some(std::path::absolute(home).ok()?.join("known_hosts"))
}

/// How the connection is made.
struct Proxy<'a> {
    program: &'a Path,
    kubeconfig: &'a Path,
    context: &'a str,
    args: &'a SshArgs,
    global: &'a Global,
}

impl Proxy<'_> {
    /// A line for a shell, in which `ssh` replaces `%` first.
    fn command(&self, named: &Named) -> String {
        let mut words = vec![self.program.display().to_string()];
        words.extend(["--kubeconfig".to_owned(), self.kubeconfig.display().to_string()]);
        if !self.context.is_empty() {
            words.extend(["--context".to_owned(), self.context.to_owned()]);
        }
        if self.global.any_cluster {
            words.push("--any-cluster".to_owned());
        }
        words.extend(["--namespace".to_owned(), named.namespace.clone(), "port-forward".to_owned()]);
        words.extend(["--stdio".to_owned(), self.args.port.to_string()]);
        words.push(format!("{}/{}", named.resource.full_plural(), named.name));
        let quoted: Vec<_> = words.iter().map(|word| format!("'{}'", word.replace('\'', r"'\''"))).collect();
        quoted.join(" ").replace('%', "%%")
    }
}

fn arguments(
    proxy: &Proxy<'_>,
    user: Option<&str>,
    named: &Named,
    object: &Value,
    known_hosts: &Path,
) -> Vec<OsString> {
    let args = proxy.args;
    let mut words: Vec<OsString> = Vec::new();
    let mut option = |text: String| words.extend(["-o".into(), text.into()]);
    option(format!("ProxyCommand={}", proxy.command(named)));
    // Another machine, whether of another Instance with this name or made anew for the same, is another host: `ssh` asks
    // about it like about any that it sees for the first time.
    let part = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let machine: String = part(&object["status"]["machineId"]).chars().take(12).collect();
    let uid = part(&object["metadata"]["uid"]);
    option(format!("HostKeyAlias={}", if machine.is_empty() { uid } else { format!("{uid}.{machine}") }));
    let path = known_hosts.display().to_string().replace('%', "%%").replace('"', "");
    option(format!("UserKnownHostsFile=\"{path}\""));
    for text in &args.option {
        option(text.clone());
    }
    if let Some(file) = &args.identity {
        words.extend(["-i".into(), file.into()]);
    }
    if let Some(user) = args.login.as_deref().or(user) {
        words.extend(["-l".into(), user.into()]);
    }
    words.extend(["--".into(), named.name.clone().into()]);
    words.extend(args.command.iter().map(OsString::from));
    words
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use serde_json::json;

    use super::*;
    use crate::api::Resource;
    use crate::args::{Cli, Command};

    fn called(line: &str, machine: &str) -> Vec<String> {
        let cli = Cli::try_parse_from(line.split(' ')).unwrap();
        let Command::Ssh(args) = &cli.command else { panic!() };
        let resource = Resource {
            group: "thecloud.dev".into(),
            version: "v1alpha1".into(),
            plural: "instances".into(),
            singular: "instance".into(),
            ..Resource::default()
        };
        let named = Named { resource, namespace: "shop".into(), name: "web".into() };
        let object = json!({"metadata": {"uid": "u-1"}, "status": {"machineId": machine}});
        let proxy = Proxy {
            program: Path::new("/opt/the cloud's/cloudctl"),
            kubeconfig: Path::new("/home/me/100%/config"),
            context: "",
            args,
            global: &cli.global,
        };
        let user = args.target.rsplit_once('@').map(|(user, _)| user);
        let words = arguments(&proxy, user, &named, &object, Path::new("/home/me/.cloud/known_hosts"));
        words.into_iter().map(|word| word.into_string().unwrap()).collect()
    }

    #[test]
    fn ssh_is_called_through_a_forwarded_port_with_a_host_key_of_this_machine_only() {
        let words = called("cloudctl ssh root@web -- uname -a", "0123456789abcdef");
        insta::assert_snapshot!(words.join("\n"));
    }

    #[test]
    fn another_machine_is_another_host() {
        let alias = |machine: &str| called("cloudctl ssh web", machine)[3].clone();
        assert_eq!(alias("aaa"), "HostKeyAlias=u-1.aaa");
        assert_ne!(alias("aaa"), alias("bbb"));
        assert_eq!(alias(""), "HostKeyAlias=u-1");
    }

    #[test]
    fn user_key_port_and_options_are_passed_on() {
        let words = called("cloudctl ssh web -l me -i key -p 2222 -o BatchMode=yes", "").join(" ");
        assert!(words.contains("'--stdio' '2222'"), "{words}");
        assert!(words.ends_with("-o BatchMode=yes -i key -l me -- web"), "{words}");
    }
}
