//! Writes a small ISO 9660 file system with Joliet names: what cloud-init looks for its seed in, and every guest can
//! read. Files in one folder, nothing else. Pure.

const SECTOR: usize = 2048;
/// Volume descriptors begin here; what is before is the system's.
const FIRST: usize = 16;

/// A file system of this label with these files.
pub(crate) fn image(label: &str, files: &[(&str, &[u8])]) -> Vec<u8> {
    // Sectors: three descriptors, four path tables, two folders, then the files.
    let (tables, plain_folder, joliet_folder) = (FIRST + 3, FIRST + 7, FIRST + 8);
    let mut next = FIRST + 9;
    let mut placed = Vec::new();
    for (name, content) in files {
        placed.push((*name, next, content.len()));
        next += content.len().div_ceil(SECTOR).max(1);
    }
    let mut disk = vec![0; next * SECTOR];
    let plain = Names { joliet: false };
    let joliet = Names { joliet: true };
    put(&mut disk, FIRST, &descriptor(plain, label, next, tables, plain_folder));
    put(&mut disk, FIRST + 1, &descriptor(joliet, label, next, tables + 2, joliet_folder));
    put(&mut disk, FIRST + 2, b"\xffCD001\x01");
    for (table, folder) in [(tables, plain_folder), (tables + 2, joliet_folder)] {
        put(&mut disk, table, &path_table(&u32_of(folder).to_le_bytes(), &1_u16.to_le_bytes()));
        put(&mut disk, table + 1, &path_table(&u32_of(folder).to_be_bytes(), &1_u16.to_be_bytes()));
    }
    put(&mut disk, plain_folder, &folder(plain, plain_folder, &placed));
    put(&mut disk, joliet_folder, &folder(joliet, joliet_folder, &placed));
    for ((_, sector, _), (_, content)) in placed.iter().zip(files) {
        put(&mut disk, *sector, content);
    }
    disk
}

/// The files of an image that was made here, by name.
pub(crate) fn files(disk: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let folder = disk.get((FIRST + 8) * SECTOR..(FIRST + 9) * SECTOR)?;
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(length) = folder.get(at).map(|length| usize::from(*length)).filter(|length| *length > 0) {
        let record = folder.get(at..at + length)?;
        at += length;
        let number = |from: usize| {
            let bytes: [u8; 4] = record.get(from..from + 4)?.try_into().ok()?;
            usize::try_from(u32::from_le_bytes(bytes)).ok()
        };
        let name = record.get(33..33 + usize::from(*record.get(32)?))?;
        // The folder itself, and the one above.
        if name.len() < 2 {
            continue;
        }
        let letters: Vec<u16> = name.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        let (sector, size) = (number(2)?, number(10)?);
        let content = disk.get(sector * SECTOR..sector * SECTOR + size)?;
        found.push((String::from_utf16_lossy(&letters), content.to_vec()));
    }
    Some(found)
}

/// How names are written.
#[derive(Clone, Copy)]
struct Names {
    joliet: bool,
}

impl Names {
    fn of_file(self, name: &str) -> Vec<u8> {
        if self.joliet {
            return wide(name);
        }
        // Capitals, digits and underscores, eight of them: what the oldest reader takes.
        let letters = name.chars().filter(char::is_ascii_alphanumeric).take(8);
        let short: String = letters.map(|letter| letter.to_ascii_uppercase()).collect();
        format!("{short}.;1").into_bytes()
    }

    /// Text of this many bytes, filled with spaces.
    fn text(self, text: &str, length: usize) -> Vec<u8> {
        let (mut bytes, space) =
            if self.joliet { (wide(text), wide(" ")) } else { (text.to_ascii_uppercase().into_bytes(), b" ".to_vec()) };
        bytes.truncate(length);
        while bytes.len() + space.len() <= length {
            bytes.extend(&space);
        }
        bytes.resize(length, 0);
        bytes
    }
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

fn u32_of(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A number in both orders, as this format has most of its numbers.
fn both(number: usize) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&u32_of(number).to_le_bytes());
    bytes[4..].copy_from_slice(&u32_of(number).to_be_bytes());
    bytes
}

/// A small number in both orders.
fn both_small(number: u16) -> [u8; 4] {
    let mut bytes = [0; 4];
    bytes[..2].copy_from_slice(&number.to_le_bytes());
    bytes[2..].copy_from_slice(&number.to_be_bytes());
    bytes
}

fn put(disk: &mut [u8], sector: usize, bytes: &[u8]) {
    disk[sector * SECTOR..sector * SECTOR + bytes.len()].copy_from_slice(bytes);
}

fn path_table(folder: &[u8; 4], parent: &[u8; 2]) -> Vec<u8> {
    [&[1, 0], folder.as_slice(), parent, &[0, 0]].concat()
}

fn descriptor(names: Names, label: &str, sectors: usize, tables: usize, folder: usize) -> Vec<u8> {
    let mut bytes = vec![if names.joliet { 2 } else { 1 }];
    bytes.extend(b"CD001\x01\x00");
    bytes.extend(names.text("", 32));
    bytes.extend(names.text(label, 32));
    bytes.extend([0; 8]);
    bytes.extend(both(sectors));
    let mut escapes = [0; 32];
    if names.joliet {
        escapes[..3].copy_from_slice(b"%/E");
    }
    bytes.extend(escapes);
    bytes.extend(both_small(1));
    bytes.extend(both_small(1));
    bytes.extend(both_small(2048));
    bytes.extend(both(10));
    bytes.extend(u32_of(tables).to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(u32_of(tables + 1).to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(record(&[0], folder, SECTOR, true));
    // Volume set, publisher, preparer, application; copyright, abstract and bibliography files.
    for length in [128, 128, 128, 128, 37, 37, 37] {
        bytes.extend(names.text("", length));
    }
    // Made, changed, expires, effective: not said.
    for _ in 0..4 {
        bytes.extend([b'0'; 16]);
        bytes.push(0);
    }
    bytes.extend([1, 0]);
    bytes
}

fn folder(names: Names, at: usize, files: &[(&str, usize, usize)]) -> Vec<u8> {
    let mut bytes = record(&[0], at, SECTOR, true);
    bytes.extend(record(&[1], at, SECTOR, true));
    let mut records: Vec<(Vec<u8>, usize, usize)> =
        files.iter().map(|(name, sector, length)| (names.of_file(name), *sector, *length)).collect();
    records.sort();
    for (name, sector, length) in records {
        bytes.extend(record(&name, sector, length, false));
    }
    bytes
}

/// An entry of a folder.
fn record(name: &[u8], sector: usize, length: usize, is_folder: bool) -> Vec<u8> {
    let padded = 33 + name.len() + usize::from(name.len().is_multiple_of(2));
    let mut bytes = vec![u8::try_from(padded).unwrap_or(u8::MAX), 0];
    bytes.extend(both(sector));
    bytes.extend(both(length));
    // 2026-01-01: always the same, so that the same input gives the same bytes.
    bytes.extend([126, 1, 1, 0, 0, 0, 0]);
    bytes.push(if is_folder { 2 } else { 0 });
    bytes.extend([0, 0]);
    bytes.extend(both_small(1));
    bytes.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    bytes.extend(name);
    bytes.resize(padded, 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_fill_a_sector_as_the_format_says() {
        for joliet in [false, true] {
            let bytes = descriptor(Names { joliet }, "cidata", 30, 19, 23);
            assert_eq!(bytes.len(), 883, "the application's own part begins here");
        }
    }

    #[test]
    fn what_was_written_is_read_again() {
        let large = vec![b'x'; 5000];
        let files: [(&str, &[u8]); 3] = [("meta-data", &large), ("network-config", b""), ("user-data", b"#!/bin/sh\n")];
        let read = super::files(&image("cidata", &files)).unwrap();
        let read: Vec<(&str, &[u8])> = read.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect();
        assert_eq!(read, files);
        assert_eq!(super::files(b"something else"), None);
    }

    #[test]
    fn another_program_reads_label_names_and_content() {
        let large = vec![b'x'; 5000];
        let disk = image("cidata", &[("user-data", b"#!/bin/sh\n"), ("meta-data", &large), ("network-config", b"")]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seed.iso");
        std::fs::write(&path, disk).unwrap();
        let label =
            std::process::Command::new("blkid").args(["-o", "value", "-s", "LABEL"]).arg(&path).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&label.stdout).trim().to_lowercase(), "cidata");
        let type_ =
            std::process::Command::new("blkid").args(["-o", "value", "-s", "TYPE"]).arg(&path).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&type_.stdout).trim(), "iso9660");
    }
}
