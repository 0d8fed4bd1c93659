//! Decides where things are on disk. A folder a machine, by its owner's uid and libvirt's id; a file an image, by its
//! owner's uid. Folders can
//! be entered by everybody and listed by root only, because QEMU runs as a user of its own; files are private.

use std::fs::{DirBuilder, Permissions, set_permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use controller_backend::MachineId;
use uuid::Uuid;

const ENTERED_BY_ALL: u32 = 0o711;

#[derive(Debug, Clone)]
pub(crate) struct Places {
    root: PathBuf,
}

impl Places {
    pub(crate) fn new(machine_dir: &Path, installation: Uuid) -> Self {
        Self { root: machine_dir.join(installation.to_string()) }
    }

    /// Makes the folders that everything is in: not before there is something to keep.
    pub(crate) fn make(&self) -> io::Result<()> {
        for folder in [self.root.clone(), self.machines(), self.images()] {
            make_folder(&folder)?;
        }
        Ok(())
    }

    /// Removes them when nothing is in them any more.
    pub(crate) fn tidy(&self) {
        let removed = |folder: &Path| match std::fs::remove_dir(folder) {
            Err(error) => error.kind() == io::ErrorKind::NotFound,
            Ok(()) => true,
        };
        // One that is not empty stays.
        if removed(&self.machines()) & removed(&self.images()) {
            let _ = std::fs::remove_file(self.read_only_server());
            removed(&self.root);
        }
    }

    /// The program that serves directories that must not be written to.
    pub(crate) fn read_only_server(&self) -> PathBuf {
        self.root.join("read-only-virtiofsd")
    }

    /// The folder of all machines.
    pub(crate) fn machines(&self) -> PathBuf {
        self.root.join("machines")
    }

    /// The folder of imported images.
    pub(crate) fn images(&self) -> PathBuf {
        self.root.join("images")
    }

    /// The folder of all machines that one owner has or had.
    pub(crate) fn machines_of(&self, owner: Uuid) -> PathBuf {
        self.machines().join(owner.to_string())
    }

    /// The folder of one machine.
    pub(crate) fn machine(&self, owner: Uuid, id: &MachineId) -> PathBuf {
        self.machines_of(owner).join(&id.0)
    }

    /// The machine's own disk.
    pub(crate) fn disk(&self, owner: Uuid, id: &MachineId) -> PathBuf {
        self.machine(owner, id).join("disk.qcow2")
    }

    /// What the machine is told at its first boot.
    pub(crate) fn seed(&self, owner: Uuid, id: &MachineId) -> PathBuf {
        self.machine(owner, id).join("seed.iso")
    }

    /// What the machine wrote to its serial console since its last start.
    pub(crate) fn console(&self, owner: Uuid, id: &MachineId) -> PathBuf {
        self.machine(owner, id).join("console.log")
    }

    /// What it wrote before that.
    pub(crate) fn previous_console(&self, owner: Uuid, id: &MachineId) -> PathBuf {
        self.machine(owner, id).join("console.previous.log")
    }

    /// An imported image.
    pub(crate) fn image(&self, owner: Uuid) -> PathBuf {
        self.images().join(format!("{owner}.qcow2"))
    }

    /// What an image is imported from, while it is downloaded.
    pub(crate) fn image_download(&self, owner: Uuid) -> PathBuf {
        self.images().join(format!("{owner}.download"))
    }

    /// What is known of an imported image. It is written last: without it the image is not there.
    pub(crate) fn image_note(&self, owner: Uuid) -> PathBuf {
        self.images().join(format!("{owner}.json"))
    }
}

/// Makes a folder that everybody may enter.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(ENTERED_BY_ALL).create(folder)?;
    // The mode given above is cut by the process's mask.
    set_permissions(folder, Permissions::from_mode(ENTERED_BY_ALL))
}

/// A file that only its owner reads, until libvirt hands it to QEMU.
pub(crate) async fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    use tokio::io::AsyncWriteExt as _;
    let mut file = tokio::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path).await?;
    file.write_all(content).await?;
    file.sync_all().await
}

/// Such a file in place of the one that is there, at one stroke: who has that one open keeps it.
pub(crate) async fn replace_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    write_private(&new, content).await?;
    tokio::fs::rename(&new, path).await
}
