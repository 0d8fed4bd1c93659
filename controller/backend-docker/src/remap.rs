//! Decides who root of a container is on the host: root too, unless Docker runs containers in a user namespace.

use bollard::models::SystemInfo;
use controller_backend::Error;

use crate::engine::Engine;
use crate::error::translate;

/// Who root of a container is on the host, as uid and gid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Root {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Asks Docker.
pub(crate) async fn root(engine: &Engine) -> Result<Root, Error> {
    let info = engine.client().await?.info().await;
    let info = info.map_err(|error| translate("Docker", "ask Docker about itself", error))?;
    Ok(root_in(&info))
}

/// Docker tells the ids nowhere but in the name of the folder that it then uses: `/var/lib/docker/100000.100000`.
fn root_in(info: &SystemInfo) -> Root {
    let is_remapped =
        info.security_options.iter().flatten().any(|option| option.split(',').any(|part| part == "name=userns"));
    let folder = info.docker_root_dir.as_deref().and_then(|dir| dir.rsplit('/').next());
    let ids = folder.filter(|_| is_remapped).and_then(|folder| folder.split_once('.'));
    let root = ids.and_then(|(uid, gid)| Some(Root { uid: uid.parse().ok()?, gid: gid.parse().ok()? }));
    root.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root_of(options: &[&str], folder: &str) -> Root {
        root_in(&SystemInfo {
            security_options: Some(options.iter().map(|&option| option.to_owned()).collect()),
            docker_root_dir: Some(folder.to_owned()),
            ..SystemInfo::default()
        })
    }

    #[test]
    fn root_of_a_container_is_root_unless_docker_says_otherwise() {
        let remapped = ["name=seccomp,profile=default", "name=userns"];
        assert_eq!(root_of(&remapped, "/var/lib/docker/100000.200000"), Root { uid: 100_000, gid: 200_000 });
        assert_eq!(root_of(&remapped[..1], "/srv/100000.200000"), Root::default());
        assert_eq!(root_of(&remapped, "/var/lib/docker"), Root::default());
    }
}
