//! Disk images: imported once into a file of their own that nobody changes, with a note beside it. The note is written
//! last, so that an image is there whole or not at all. What is downloaded lies beside it until it is imported.

mod snapshots;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use controller_backend::{
    Conflict, Consistency, DiskFormat, DiskImage, DiskImageSpec, DiskImages, DiskSource, Error, Image, Images,
    ImportError, Owner, Progress, PullError,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::fs;
use tokio::io::AsyncReadExt;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::disks;
use crate::download::{Downloader, Wanted, gibibytes};
use crate::engine::{Engine, all_owned};
use crate::places::Places;

/// How many images one namespace downloads at a time: a slow server holds a place for long.
const DOWNLOADS: usize = 4;
/// How often the room on the host is looked at while a disk is written.
const LOOK: Duration = Duration::from_secs(1);

pub(crate) struct HostImages {
    engine: Arc<Engine>,
    places: Places,
    image_dir: Option<PathBuf>,
    /// One at a time: each reads a whole disk, and two of the same image would write one file.
    importing: Mutex<()>,
    downloader: Downloader,
    /// How many images each namespace downloads.
    downloading: Arc<std::sync::Mutex<BTreeMap<String, usize>>>,
}

/// What is written beside an image.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Note {
    owner: Owner,
    id: String,
    disk_bytes: u64,
    /// In which state the disk was, where it was a machine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    snapshot: Option<Consistency>,
    /// Whether it was kept when its object went.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    retained: bool,
    /// Those whose it was before it was adopted. Machines may still have been made from their files, which are the same.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    former_owners: BTreeSet<Uuid>,
}

impl Note {
    /// What is going to be written beside a fresh image, but for its id.
    fn new(owner: &Owner, disk_bytes: u64, snapshot: Option<Consistency>) -> Self {
        let (owner, id) = (owner.clone(), String::new());
        Self { owner, id, disk_bytes, snapshot, retained: false, former_owners: BTreeSet::new() }
    }
}

/// An image as it lies on the host.
struct Kept {
    note: Note,
    file: std::fs::Metadata,
}

impl Kept {
    fn image(self) -> DiskImage {
        let Note { owner, id, disk_bytes, .. } = self.note;
        DiskImage { owner, id, disk_bytes, stored_bytes: self.file.len() }
    }
}

impl HostImages {
    pub(crate) fn new(engine: Arc<Engine>, places: Places, image_dir: Option<PathBuf>, downloader: Downloader) -> Self {
        Self { engine, places, image_dir, importing: Mutex::new(()), downloader, downloading: Arc::default() }
    }

    /// The image that a machine names: by its owner's uid, or by the id of its content.
    pub(crate) async fn named(&self, name: &str) -> Result<Option<DiskImage>, Error> {
        Ok(self.look_for(name).await?.map(Kept::image))
    }

    async fn look_for(&self, name: &str) -> Result<Option<Kept>, Error> {
        if let Ok(owner) = name.parse() {
            return self.look(owner).await;
        }
        Ok(self.all().await?.into_iter().find(|kept| kept.note.id == name))
    }

    /// The file to import from, inside of what may be imported from whatever links say.
    async fn file(&self, path: &str) -> Result<PathBuf, Error> {
        let Some(dir) = &self.image_dir else {
            return Err(Error::invalid("the server imports no images by path: it was started without --image-dir"));
        };
        let relative = Path::new(path);
        let outside = || Error::invalid(format!("`{path}` is not inside the server's --image-dir"));
        if !relative.components().all(|part| matches!(part, Component::Normal(_))) || path.is_empty() {
            return Err(outside());
        }
        let missing = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => Error::not_found(format!("file `{path}` in the server's --image-dir")),
            _ => Error::failed(format!("open `{path}`"), error),
        };
        let dir = fs::canonicalize(dir).await.map_err(missing)?;
        let file = fs::canonicalize(dir.join(relative)).await.map_err(missing)?;
        if !file.starts_with(&dir) {
            return Err(outside());
        }
        if !fs::metadata(&file).await.map_err(missing)?.is_file() {
            return Err(Error::invalid(format!("`{path}` is not a file")));
        }
        Ok(file)
    }

    /// Makes an image of what is served somewhere.
    async fn download(
        &self,
        spec: &DiskImageSpec,
        wanted: Wanted<'_>,
        progress: &Progress,
    ) -> Result<DiskImage, ImportError> {
        let _place = Place::take(&self.downloading, &spec.owner.namespace)?;
        self.make_folders().map_err(ImportError::backend)?;
        let file = self.places.image_download(spec.owner.uid);
        let outcome = async {
            self.downloader.fetch(wanted, &file, progress).await?;
            self.import(spec, &file).await
        }
        .await;
        remove_file(&file).await.map_err(|error| ImportError::backend(Error::failed("remove the download", error)))?;
        outcome
    }

    pub(crate) fn make_folders(&self) -> Result<(), Error> {
        self.places.make().map_err(|error| Error::failed("make the folder of images", error))
    }

    /// Makes an image of a file.
    async fn import(&self, spec: &DiskImageSpec, source: &Path) -> Result<DiskImage, ImportError> {
        let _importing = self.importing.lock().await;
        if let Some(image) = self.find(spec.owner.uid).await.map_err(ImportError::backend)? {
            return Ok(image);
        }
        let fresh = self.places.image(spec.owner.uid).with_extension("new");
        let outcome = async {
            let disk_bytes = self.copy(spec, source, &fresh).await?;
            self.keep(Note::new(&spec.owner, disk_bytes, None), &fresh).await.map_err(ImportError::backend)
        }
        .await;
        if outcome.is_err() {
            // Whatever is left of it is removed with the image, or by the next attempt.
            let _ = remove_file(&fresh).await;
        }
        outcome
    }

    /// Copies a disk, and tells its size. Whoever wrote it may want to harm the host by it.
    async fn copy(&self, spec: &DiskImageSpec, source: &Path, fresh: &Path) -> Result<u64, ImportError> {
        let unfit = |why: String| {
            // Where it lies on the host is nobody's business.
            let why = why.replace(&source.display().to_string(), "the file");
            ImportError::backend(Error::invalid(format!("the source can't be an image: {why}")))
        };
        let info = disks::info(source, spec.format).await.map_err(|error| match error {
            Error::Failed { source, .. } => unfit(source.to_string()),
            other => ImportError::backend(other),
        })?;
        if let Some(why) = info.outside() {
            return Err(unfit(why));
        }
        let most = self.downloader.limits().max_bytes;
        if info.virtual_size > most {
            let message = format!(
                "the disk in the image has {}, more than the {} that this server imports (--image-max-size)",
                gibibytes(info.virtual_size),
                gibibytes(most)
            );
            return Err(ImportError::TooLarge { message });
        }
        self.make_folders().map_err(ImportError::backend)?;
        tokio::select! {
            copied = disks::copy(source, spec.format, fresh) => copied.map_err(ImportError::backend)?,
            // A small file can hold a disk that is large all the same.
            too_much = self.outgrown(fresh, spec.max_bytes) => return Err(too_much),
        }
        let stored = fs::metadata(fresh).await;
        let stored = stored.map_err(|error| ImportError::backend(Error::failed("look at the image", error)))?.len();
        self.downloader.bound(stored, spec.max_bytes)?;
        Ok(info.virtual_size)
    }

    /// Ends when the host has no room any more, or a file has more bytes than it may.
    async fn outgrown(&self, file: &Path, most: Option<u64>) -> ImportError {
        loop {
            tokio::time::sleep(LOOK).await;
            let bytes = fs::metadata(file).await.map_or(0, |file| file.len());
            let fits = self.downloader.bound(bytes, most).and_then(|()| self.downloader.room(file, 0));
            if let Err(too_much) = fits {
                return too_much;
            }
        }
    }

    /// Puts a whole copy in its place, with this note and its id.
    async fn keep(&self, note: Note, fresh: &Path) -> Result<DiskImage, Error> {
        let owner = note.owner.uid;
        let image = self.places.image(owner);
        let failed = |error| Error::failed("keep the image", error);
        let id = digest(fresh).await.map_err(failed)?;
        let group = self.reading_group().await?;
        chown(fresh, Some(0), Some(group)).map_err(failed)?;
        fs::set_permissions(fresh, std::fs::Permissions::from_mode(0o440)).await.map_err(failed)?;
        fs::File::open(fresh).await.map_err(failed)?.sync_all().await.map_err(failed)?;
        fs::rename(fresh, &image).await.map_err(failed)?;
        self.write_note(&Note { id, ..note }).await.map_err(failed)?;
        self.find(owner).await?.ok_or_else(|| Error::not_found(format!("image of `{owner}`")))
    }

    async fn write_note(&self, note: &Note) -> io::Result<()> {
        let path = self.places.image_note(note.owner.uid);
        let fresh = path.with_extension("json.new");
        fs::write(&fresh, serde_json::to_vec(note)?).await?;
        fs::File::open(&fresh).await?.sync_all().await?;
        fs::rename(&fresh, &path).await?;
        fs::File::open(self.places.images()).await?.sync_all().await
    }

    /// The group that QEMU runs in, which may read what everybody starts from.
    async fn reading_group(&self) -> Result<u32, Error> {
        let read = |connection: &crate::engine::Connection| Ok(connection.get_capabilities()?);
        let capabilities = self.engine.call("libvirt", "ask libvirt what it can do", read).await?;
        let unknown = || Error::failed("find out which user QEMU runs as", "libvirt does not tell");
        group_of(&capabilities).ok_or_else(unknown)
    }

    /// The names of the machines that were made from the images of any of these owners, sorted.
    async fn users(&self, owners: BTreeSet<Uuid>) -> Result<Vec<String>, Error> {
        let installation = self.engine.installation();
        let look = move |connection: &crate::engine::Connection| {
            let mut users = Vec::new();
            for owned in all_owned(connection, installation)? {
                if owners.contains(&owned.marks.image) {
                    users.push(owned.domain.get_name()?);
                }
            }
            users.sort_unstable();
            Ok(users)
        };
        self.engine.call("libvirt", "look who uses the image", look).await
    }
}

impl HostImages {
    async fn all(&self) -> Result<Vec<Kept>, Error> {
        let failed = |error| Error::failed("list the images", error);
        let mut images = Vec::new();
        let mut entries = match fs::read_dir(self.places.images()).await {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(images),
            Err(error) => return Err(failed(error)),
        };
        while let Some(entry) = entries.next_entry().await.map_err(failed)? {
            let name = entry.file_name();
            let uid = name.to_str().and_then(|name| name.strip_suffix(".json")?.parse().ok());
            if let Some(uid) = uid
                && let Some(image) = self.look(uid).await?
            {
                images.push(image);
            }
        }
        images.sort_by_key(|kept| kept.note.owner.uid);
        Ok(images)
    }

    async fn look(&self, owner: Uuid) -> Result<Option<Kept>, Error> {
        let Some(note) = self.read_note(owner).await? else { return Ok(None) };
        match fs::metadata(self.places.image(owner)).await {
            Ok(file) => Ok(Some(Kept { note, file })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::failed("look for the image", error)),
        }
    }

    async fn read_note(&self, owner: Uuid) -> Result<Option<Note>, Error> {
        let note = match fs::read(self.places.image_note(owner)).await {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::failed("look for the image", error)),
        };
        // A note that can't be read is none: importing again writes it anew.
        let Ok(mut note) = serde_json::from_slice::<Note>(&note) else { return Ok(None) };
        if note.owner.uid != owner {
            // Adopted a moment ago, it tells of the owner before.
            note.former_owners.insert(note.owner.uid);
            note.owner.uid = owner;
        }
        Ok(Some(note))
    }
}

#[async_trait]
impl DiskImages for HostImages {
    async fn list(&self) -> Result<Vec<DiskImage>, Error> {
        let images = self.all().await?.into_iter().filter(|kept| kept.note.snapshot.is_none());
        Ok(images.map(Kept::image).collect())
    }

    async fn find(&self, owner: Uuid) -> Result<Option<DiskImage>, Error> {
        Ok(self.look(owner).await?.map(Kept::image))
    }

    async fn ensure(&self, spec: &DiskImageSpec, progress: &Progress) -> Result<DiskImage, ImportError> {
        if let Some(image) = self.find(spec.owner.uid).await.map_err(ImportError::backend)? {
            return Ok(image);
        }
        match &spec.source {
            DiskSource::File(path) => {
                let file = self.file(path).await.map_err(ImportError::backend)?;
                self.import(spec, &file).await
            }
            DiskSource::Url { url, checksum } => {
                self.download(spec, Wanted { url, checksum, max_bytes: spec.max_bytes }, progress).await
            }
            DiskSource::Snapshot(uid) => {
                if self.snapshot(*uid).await.map_err(ImportError::backend)?.is_none() {
                    return Err(ImportError::backend(Error::not_found(format!("snapshot of `{uid}`"))));
                }
                // As a snapshot is kept, however the spec says that it is written.
                let spec = DiskImageSpec { format: DiskFormat::Qcow2, ..spec.clone() };
                self.import(&spec, &self.places.image(*uid)).await
            }
            _ => Err(ImportError::backend(Error::invalid("this source is not supported"))),
        }
    }

    async fn remove(&self, owner: Uuid) -> Result<(), Error> {
        let _importing = self.importing.lock().await;
        let (image, note) = (self.places.image(owner), self.places.image_note(owner));
        let former = self.read_note(owner).await?.map(|note| note.former_owners).unwrap_or_default();
        if fs::try_exists(&image).await.unwrap_or(true) {
            let users = self.users(former.iter().copied().chain([owner]).collect()).await?;
            if !users.is_empty() {
                return Err(Error::conflict(Conflict::InUse { what: format!("image of `{owner}`"), users }));
            }
        }
        // What the note tells of goes before it, the image after it: what has none is not there.
        let before = former.into_iter().map(|before| self.places.image(before));
        let (fresh, download) = (image.with_extension("new"), self.places.image_download(owner));
        for path in before.chain([note, image, fresh, download]) {
            let failed = |error| Error::failed(format!("remove the image of `{owner}`"), error);
            remove_file(&path).await.map_err(failed)?;
        }
        self.places.tidy();
        Ok(())
    }
}

/// One of the downloads that a namespace may make at a time; given back when it is dropped.
struct Place {
    taken: Arc<std::sync::Mutex<BTreeMap<String, usize>>>,
    namespace: String,
}

impl Place {
    fn take(taken: &Arc<std::sync::Mutex<BTreeMap<String, usize>>>, namespace: &str) -> Result<Self, ImportError> {
        let mut counts = taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(namespace.to_owned()).or_default();
        if *count >= DOWNLOADS {
            let message = format!("{DOWNLOADS} other images are being downloaded; it is tried again in a moment");
            return Err(ImportError::Busy { message });
        }
        *count += 1;
        Ok(Self { taken: taken.clone(), namespace: namespace.to_owned() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.namespace) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.namespace);
            }
        }
    }
}

/// Removes a file, if it is there.
async fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

async fn digest(path: &Path) -> io::Result<String> {
    let mut file = fs::File::open(path).await?;
    let mut hasher = Sha256::new();
    let mut piece = vec![0; 1 << 20];
    loop {
        match file.read(&mut piece).await? {
            0 => break,
            length => hasher.update(&piece[..length]),
        }
    }
    let hex: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("sha256:{hex}"))
}

/// `<baselabel type='qemu'>+64055:+64055</baselabel>` of the security model `dac`.
fn group_of(capabilities: &str) -> Option<u32> {
    let (_, dac) = capabilities.split_once("<model>dac</model>")?;
    let (_, label) = dac.split_once("<baselabel")?;
    let (_, label) = label.split_once('>')?;
    let (label, _) = label.split_once('<')?;
    let (_, group) = label.split_once(':')?;
    group.trim_start_matches('+').parse().ok()
}

fn describe(image: DiskImage) -> Image {
    Image {
        id: image.id,
        size_bytes: image.stored_bytes,
        exposed_ports: Vec::new(),
        entrypoint: Vec::new(),
        command: Vec::new(),
        user: String::new(),
    }
}

/// Images as machines name them. None comes from a registry.
pub(crate) struct LibvirtImages {
    images: Arc<HostImages>,
}

impl LibvirtImages {
    pub(crate) fn new(images: Arc<HostImages>) -> Self {
        Self { images }
    }
}

#[async_trait]
impl Images for LibvirtImages {
    async fn resolve(&self, reference: &str) -> Result<Option<Image>, Error> {
        let found = self.images.look_for(reference).await?;
        Ok(found.filter(|kept| kept.note.snapshot.is_none()).map(|kept| describe(kept.image())))
    }

    async fn pull(&self, reference: &str) -> Result<Image, PullError> {
        Err(PullError::NoSuchImage { reference: reference.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qemus_group_is_read_from_what_libvirt_can_do() {
        let text = "<secmodel><model>none</model></secmodel><secmodel><model>dac</model><doi>0</doi>\
                    <baselabel type='kvm'>+64055:+108</baselabel><baselabel type='qemu'>+64055:+108</baselabel></secmodel>";
        assert_eq!(group_of(text), Some(108));
        assert_eq!(group_of("<secmodel><model>none</model></secmodel>"), None);
    }

    #[test]
    fn a_namespace_has_so_many_downloads_at_a_time_and_the_others_have_theirs() {
        let taken = Arc::default();
        let mut places: Vec<_> = (0..DOWNLOADS).map(|_| Place::take(&taken, "shop").unwrap()).collect();
        assert!(matches!(Place::take(&taken, "shop"), Err(ImportError::Busy { .. })));
        assert!(Place::take(&taken, "other").is_ok());
        places.pop();
        assert!(Place::take(&taken, "shop").is_ok());
        drop(places);
        assert!(taken.lock().unwrap().is_empty());
    }
}
