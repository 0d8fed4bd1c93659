//! Decides which kubeconfig file is used. In: the flag, the environment, the current folder. Out: one file and who named it.
//! It looks at the file system only to see whether a file exists and whose it is; it opens none.

use std::env;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::ConnectError;

/// What the search depends on.
#[derive(Debug, Default)]
pub(crate) struct Surroundings {
    /// `--kubeconfig`.
    pub(crate) flag: Option<PathBuf>,
    /// `$CLOUDCONFIG`.
    pub(crate) cloudconfig: Option<PathBuf>,
    /// `$CLOUD_HOME`.
    pub(crate) cloud_home: Option<PathBuf>,
    /// The current folder.
    pub(crate) here: Option<PathBuf>,
    /// `$HOME`.
    pub(crate) home: Option<PathBuf>,
    /// Who we are; files found by searching must be ours or root's.
    pub(crate) uid: u32,
}

impl Surroundings {
    /// Those of this process. `KUBECONFIG` is left out on purpose.
    pub(crate) fn of_process(flag: Option<PathBuf>) -> Self {
        let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Self {
            flag,
            cloudconfig: variable("CLOUDCONFIG"),
            cloud_home: variable("CLOUD_HOME"),
            here: env::current_dir().ok(),
            home: variable("HOME"),
            uid: rustix::process::getuid().as_raw(),
        }
    }
}

/// Who named the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// `--kubeconfig`.
    Flag,
    /// `$CLOUDCONFIG`.
    Variable,
    /// `$CLOUD_HOME`.
    CloudHome,
    /// `.cloud/kubeconfig` here or above.
    Search,
    /// `~/.cloud/config`.
    Home,
}

impl Origin {
    /// For a sentence.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Flag => "--kubeconfig",
            Self::Variable => "CLOUDCONFIG",
            Self::CloudHome => "CLOUD_HOME",
            Self::Search => "the search upwards from here",
            Self::Home => "the home folder",
        }
    }
}

/// The file to use.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its path.
    pub(crate) path: PathBuf,
    /// Who named it.
    pub(crate) origin: Origin,
}

/// Finds the file. A place that was named must hold it: falling through to another cloud would surprise.
pub(crate) fn find(surroundings: &Surroundings) -> Result<Found, ConnectError> {
    let named = [
        (surroundings.flag.clone(), Origin::Flag),
        (surroundings.cloudconfig.clone(), Origin::Variable),
        (surroundings.cloud_home.as_ref().map(|folder| folder.join("kubeconfig")), Origin::CloudHome),
    ];
    for (path, origin) in named {
        if let Some(path) = path {
            return if path.exists() {
                Ok(Found { path, origin })
            } else {
                Err(ConnectError::MissingFile { path, origin })
            };
        }
    }
    let mut tried = Vec::new();
    for folder in surroundings.here.iter().flat_map(|here| here.ancestors()) {
        let path = folder.join(".cloud").join("kubeconfig");
        if path.is_file() {
            trust(&path, surroundings.uid)?;
            return Ok(Found { path, origin: Origin::Search });
        }
        tried.push(path);
    }
    if let Some(home) = &surroundings.home {
        let path = home.join(".cloud").join("config");
        if path.is_file() {
            return Ok(Found { path, origin: Origin::Home });
        }
        tried.push(path);
    }
    Err(ConnectError::NoFile { tried })
}

/// A kubeconfig can name a program to run, so one that anybody could have put into a folder above is not used.
fn trust(path: &Path, uid: u32) -> Result<(), ConnectError> {
    let owner = path.metadata().map_or(uid, |metadata| metadata.uid());
    if owner == uid || owner == 0 {
        return Ok(());
    }
    Err(ConnectError::ForeignFile { path: path.to_path_buf(), owner })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    fn write(root: &TempDir, path: &str) -> PathBuf {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        path
    }

    fn surroundings(root: &TempDir, here: &str) -> Surroundings {
        let here = root.path().join(here);
        fs::create_dir_all(&here).unwrap();
        Surroundings {
            here: Some(here),
            home: Some(root.path().join("home")),
            uid: rustix::process::getuid().as_raw(),
            ..Surroundings::default()
        }
    }

    #[test]
    fn nearest_folder_upwards_wins_over_the_home_folder() {
        let root = TempDir::new().unwrap();
        write(&root, "home/.cloud/config");
        write(&root, "work/.cloud/kubeconfig");
        let nearest = write(&root, "work/project/.cloud/kubeconfig");
        let found = find(&surroundings(&root, "work/project/deep/er")).unwrap();
        assert_eq!(found, Found { path: nearest, origin: Origin::Search });
    }

    #[test]
    fn home_folder_is_the_last_resort() {
        let root = TempDir::new().unwrap();
        let path = write(&root, "home/.cloud/config");
        let found = find(&surroundings(&root, "elsewhere")).unwrap();
        assert_eq!(found, Found { path, origin: Origin::Home });
    }

    #[test]
    fn flag_then_variable_then_cloud_home_win_over_the_search() {
        let root = TempDir::new().unwrap();
        let flag = write(&root, "flag");
        let variable = write(&root, "variable");
        let cloud_home = write(&root, "second/kubeconfig");
        write(&root, "here/.cloud/kubeconfig");
        let mut surroundings = surroundings(&root, "here");
        surroundings.cloud_home = Some(root.path().join("second"));
        assert_eq!(find(&surroundings).unwrap(), Found { path: cloud_home, origin: Origin::CloudHome });
        surroundings.cloudconfig = Some(variable.clone());
        assert_eq!(find(&surroundings).unwrap(), Found { path: variable, origin: Origin::Variable });
        surroundings.flag = Some(flag.clone());
        assert_eq!(find(&surroundings).unwrap(), Found { path: flag, origin: Origin::Flag });
    }

    #[test]
    fn named_file_that_is_missing_does_not_fall_through_to_another_cloud() {
        let root = TempDir::new().unwrap();
        write(&root, "here/.cloud/kubeconfig");
        let mut surroundings = surroundings(&root, "here");
        surroundings.cloud_home = Some(root.path().join("not-up-yet"));
        let error = find(&surroundings).unwrap_err();
        assert!(matches!(&error, ConnectError::MissingFile { origin: Origin::CloudHome, .. }), "{error}");
        assert!(error.to_string().contains("./justw up"), "{error}");
    }

    #[test]
    fn files_of_kubectl_are_never_used() {
        let root = TempDir::new().unwrap();
        write(&root, "home/.kube/config");
        write(&root, "here/.kube/config");
        let error = find(&surroundings(&root, "here")).unwrap_err();
        assert!(matches!(error, ConnectError::NoFile { .. }), "{error}");
    }

    #[test]
    fn file_of_another_user_is_not_trusted() {
        let root = TempDir::new().unwrap();
        let path = write(&root, "here/.cloud/kubeconfig");
        let owner = path.metadata().unwrap().uid();
        let mut surroundings = surroundings(&root, "here");
        surroundings.uid = owner + 1;
        let found = find(&surroundings);
        if owner == 0 {
            assert!(found.is_ok(), "root's files are trusted");
        } else {
            assert!(matches!(found, Err(ConnectError::ForeignFile { .. })));
        }
        assert!(matches!(trust(&path, owner), Ok(())));
    }
}
