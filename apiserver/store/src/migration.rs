//! Decides which migrations a database still needs. Every adapter embeds its own files and runs them its own way.

use crate::StoreError;

/// One statement that changes a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// Its place; versions begin at 1 and have no holes.
    pub version: i64,
    /// Its name, the same for every database.
    pub name: &'static str,
    /// The statement.
    pub statement: &'static str,
}

/// The migrations that follow the versions in `applied`.
///
/// # Errors
/// [`StoreError::NewerSchema`] if the database is ahead of `known`, [`StoreError::Damaged`] if it has a hole.
pub fn missing(known: &'static [Migration], applied: &[i64]) -> Result<&'static [Migration], StoreError> {
    let newest = |versions: &[i64]| versions.iter().copied().max().unwrap_or(0);
    let versions: Vec<i64> = known.iter().map(|migration| migration.version).collect();
    if newest(applied) > newest(&versions) {
        return Err(StoreError::NewerSchema { found: newest(applied), known: newest(&versions) });
    }
    let count = versions.iter().take_while(|version| applied.contains(version)).count();
    if count != applied.len() {
        return Err(StoreError::Damaged {
            what: format!("its migrations {applied:?} are not a beginning of {versions:?}"),
        });
    }
    Ok(&known[count..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn migration(version: i64) -> Migration {
        Migration { version, name: "some", statement: "select 1" }
    }

    const KNOWN: &[Migration] = &[migration(1), migration(2), migration(3)];

    #[test]
    fn only_what_is_missing_is_run() {
        assert_eq!(missing(KNOWN, &[]).unwrap().len(), 3);
        assert_eq!(missing(KNOWN, &[2, 1]).unwrap(), &KNOWN[2..]);
        assert!(missing(KNOWN, &[1, 2, 3]).unwrap().is_empty());
    }

    #[test]
    fn newer_schema_is_refused_with_both_versions() {
        let error = missing(KNOWN, &[1, 2, 3, 4]).unwrap_err().to_string();
        assert!(error.contains("version 4") && error.contains("up to 3"), "{error}");
    }

    #[test]
    fn hole_in_the_schema_is_refused() {
        assert!(matches!(missing(KNOWN, &[2]), Err(StoreError::Damaged { .. })));
    }
}
