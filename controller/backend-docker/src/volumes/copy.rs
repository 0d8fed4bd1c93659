//! Copies the file of a volume: as a reflink where the file system has them, otherwise only what is not a hole. It is
//! done twice where the file is written to meanwhile: once while it is, then again with writing held back, when only
//! what differs is written. Waits for the disk: not for async code.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use controller_backend::Progress;
use rustix::fs::{FallocateFlags, SeekFrom, fallocate, ioctl_ficlone, seek};
use rustix::io::Errno;

/// What is read at once.
const CHUNK: usize = 1 << 20;

/// Ends copies when it is dropped.
#[derive(Debug, Default)]
pub(super) struct CancelOnDrop(Arc<AtomicBool>);

impl CancelOnDrop {
    pub(super) fn signal(&self) -> Arc<AtomicBool> {
        self.0.clone()
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A copy that is being made.
#[derive(Debug)]
pub(super) struct Copy {
    pub(super) from: File,
    pub(super) to: File,
    pub(super) progress: Progress,
    pub(super) cancelled: Arc<AtomicBool>,
}

impl Copy {
    /// Copies into an empty file.
    pub(super) fn begin(&self) -> io::Result<()> {
        self.progress.begin(allocated(&self.from)?);
        if self.reflink()? {
            return Ok(());
        }
        let mut buffer = vec![0; CHUNK];
        self.extents(|offset, length| {
            let piece = &mut buffer[..length];
            self.from.read_exact_at(piece, offset)?;
            self.to.write_all_at(piece, offset)?;
            self.progress.add(length as u64);
            Ok(())
        })?;
        self.to.set_len(self.from.metadata()?.len())
    }

    /// Brings a copy that was made before up to date. The file does not change meanwhile.
    pub(super) fn complete(&self) -> io::Result<()> {
        if self.reflink()? {
            return Ok(());
        }
        self.to.set_len(self.from.metadata()?.len())?;
        let (mut theirs, mut ours) = (vec![0; CHUNK], vec![0; CHUNK]);
        let mut end = 0;
        self.extents(|offset, length| {
            self.make_hole(end, offset)?;
            end = offset + length as u64;
            let (theirs, ours) = (&mut theirs[..length], &mut ours[..length]);
            self.from.read_exact_at(theirs, offset)?;
            self.to.read_exact_at(ours, offset)?;
            if theirs != ours {
                self.to.write_all_at(theirs, offset)?;
            }
            Ok(())
        })?;
        self.make_hole(end, self.from.metadata()?.len())
    }

    /// Whether copying is sharing, which happens at one stroke.
    pub(super) fn is_shared(&self) -> bool {
        self.reflink().unwrap_or(false)
    }

    /// Shares the blocks of the one with the other; `false` where that is not to be had.
    fn reflink(&self) -> io::Result<bool> {
        match ioctl_ficlone(&self.to, &self.from) {
            Ok(()) => Ok(true),
            // What the kernel answers depends on the file system and on whether both files are on the same.
            Err(Errno::OPNOTSUPP | Errno::NOTTY | Errno::XDEV | Errno::INVAL | Errno::NOSYS) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// What the copy has in a range where the file has a hole.
    fn make_hole(&self, start: u64, end: u64) -> io::Result<()> {
        let data = match seek(&self.to, SeekFrom::Data(start)) {
            Ok(data) => data,
            Err(Errno::NXIO) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if data >= end {
            return Ok(());
        }
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(&self.to, flags, start, end - start).map_err(io::Error::from)
    }

    /// Calls for every piece that is not a hole, in order.
    fn extents(&self, mut each: impl FnMut(u64, usize) -> io::Result<()>) -> io::Result<()> {
        let mut position = 0;
        loop {
            let start = match seek(&self.from, SeekFrom::Data(position)) {
                Ok(start) => start,
                // No data any more.
                Err(Errno::NXIO) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            let end = seek(&self.from, SeekFrom::Hole(start))?;
            position = start;
            while position < end {
                if self.cancelled.load(Ordering::Relaxed) {
                    return Err(io::Error::other("the copy is not wanted any more"));
                }
                let length = usize::try_from(end - position).unwrap_or(CHUNK).min(CHUNK);
                each(position, length)?;
                position += length as u64;
            }
        }
    }
}

/// The bytes that a file takes on its disk.
pub(super) fn allocated(file: &File) -> io::Result<u64> {
    Ok(file.metadata()?.blocks() * 512)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::mounted::Mounted;
    use super::*;

    const MEBIBYTE: u64 = 1 << 20;

    fn copy() -> Copy {
        let (from, to) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        Copy { from, to, progress: Progress::default(), cancelled: Arc::default() }
    }

    fn content(file: &File) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    #[test]
    fn holes_stay_holes_and_data_is_the_same() {
        let copy = copy();
        copy.from.set_len(256 * MEBIBYTE).unwrap();
        copy.from.write_all_at(&[7; 3000], 5 * MEBIBYTE + 11).unwrap();
        copy.from.write_all_at(&[8; 3 << 20], 100 * MEBIBYTE).unwrap();
        copy.begin().unwrap();
        copy.complete().unwrap();
        assert!(content(&copy.from) == content(&copy.to));
        let taken = allocated(&copy.to).unwrap();
        assert!(taken < 4 * MEBIBYTE, "256 MiB with 3 of data take {taken} bytes");
        assert_eq!(copy.progress.percent(), Some(100));
    }

    #[test]
    fn what_changed_after_the_first_pass_is_in_the_second() {
        let copy = copy();
        copy.from.set_len(16 * MEBIBYTE).unwrap();
        copy.from.write_all_at(&[1; 2 << 20], 2 * MEBIBYTE).unwrap();
        copy.from.write_all_at(&[1; 2 << 20], 8 * MEBIBYTE).unwrap();
        copy.begin().unwrap();
        // Overwritten, written where nothing was, let go, and grown.
        copy.from.write_all_at(&[2; 100], 3 * MEBIBYTE).unwrap();
        copy.from.write_all_at(&[3; 100], 12 * MEBIBYTE).unwrap();
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(&copy.from, flags, 8 * MEBIBYTE, 2 * MEBIBYTE).unwrap();
        copy.from.set_len(20 * MEBIBYTE).unwrap();
        copy.complete().unwrap();
        assert!(content(&copy.from) == content(&copy.to));
        assert!(allocated(&copy.to).unwrap() < 3 * MEBIBYTE);
    }

    #[test]
    fn a_copy_that_nobody_waits_for_ends() {
        let (copy, guard) = (copy(), CancelOnDrop::default());
        let copy = Copy { cancelled: guard.signal(), ..copy };
        copy.from.write_all_at(&[1; 100], 0).unwrap();
        copy.begin().unwrap();
        drop(guard);
        assert!(copy.complete().unwrap_err().to_string().contains("not wanted"));
    }

    /// The bytes that are free where this is.
    fn free(place: &Path) -> u64 {
        // What is written counts once it is on the disk.
        rustix::fs::syncfs(File::open(place).unwrap()).unwrap();
        let about = rustix::fs::statvfs(place).unwrap();
        about.f_bfree * about.f_frsize
    }

    #[test]
    fn where_blocks_can_be_shared_a_copy_takes_none_and_is_a_copy() {
        let Some(disk) = Mounted::make("mkfs.btrfs", 512 << 20) else { return };
        let file = |name: &str| {
            let mut how = File::options();
            how.read(true).write(true).create_new(true).open(disk.place().join(name)).unwrap()
        };
        let copy = Copy { from: file("from"), to: file("to"), ..copy() };
        let piece: Vec<u8> = (0..MEBIBYTE).map(|at| (at % 251) as u8).collect();
        for at in 0..64 {
            copy.from.write_all_at(&piece, at * MEBIBYTE).unwrap();
        }
        let before = free(&disk.place());
        assert!(copy.is_shared());
        copy.begin().unwrap();
        assert!(content(&copy.from) == content(&copy.to));
        let taken = before.saturating_sub(free(&disk.place()));
        assert!(taken < 4 * MEBIBYTE, "a copy of 64 MiB takes {taken} bytes");

        copy.from.write_all_at(b"later", 0).unwrap();
        assert!(content(&copy.to)[..5] == piece[..5], "what is written to the one isn't in the other");
        copy.from.set_len(65 * MEBIBYTE).unwrap();
        copy.complete().unwrap();
        assert!(content(&copy.from) == content(&copy.to));
    }
}
