//! Whether there is a browser at which whoever sits here can log in, and how to open a page in it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use url::Url;

const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };

/// Where a page can be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Browser {
    /// By this program.
    Here(PathBuf),
    /// Nowhere: there is no screen.
    Nowhere,
    /// Nowhere: whoever types sits at another machine.
    Elsewhere,
}

impl Browser {
    /// What this process has.
    pub(crate) fn of_process() -> Self {
        Self::of(|name| std::env::var_os(name).filter(|value| !value.is_empty()))
    }

    fn of(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        if variable("SSH_CONNECTION").is_some() {
            return Self::Elsewhere;
        }
        let is_seen =
            cfg!(target_os = "macos") || variable("DISPLAY").is_some() || variable("WAYLAND_DISPLAY").is_some();
        let path = variable("PATH").filter(|_| is_seen).unwrap_or_default();
        let found = std::env::split_paths(&path).map(|folder| folder.join(OPENER)).find(|file| file.is_file());
        found.map_or(Self::Nowhere, Self::Here)
    }

    /// Opens a page, if that can be done. Whoever reads the address can open it, too, so a failure is none.
    pub(crate) fn open(&self, page: &Url) {
        if let Self::Here(program) = self {
            let mut command = Command::new(program);
            command.arg(page.as_str()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let _ = command.spawn();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_opened_where_there_is_a_screen_and_somebody_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join(OPENER);
        let of = |set: &[&str]| {
            let path = folder.path().as_os_str().to_owned();
            Browser::of(|name| match name {
                "PATH" => Some(path.clone()),
                name => set.contains(&name).then(|| "x".into()),
            })
        };
        assert_eq!(of(&["DISPLAY"]), Browser::Nowhere, "there is no such program");
        std::fs::write(&program, "").unwrap();
        assert_eq!(of(&["DISPLAY"]), Browser::Here(program.clone()));
        assert_eq!(of(&["WAYLAND_DISPLAY"]), Browser::Here(program));
        assert_eq!(of(&["DISPLAY", "SSH_CONNECTION"]), Browser::Elsewhere);
        if !cfg!(target_os = "macos") {
            assert_eq!(of(&[]), Browser::Nowhere);
        }
    }
}
