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

impl Migration {
    /// The name of its file, without the ending.
    #[must_use]
    pub fn file(&self) -> String {
        format!("{:04}_{}", self.version, self.name)
    }
}

/// How the schema of a database stands to what this program knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schema {
    /// The version that the database had; zero for an empty one.
    pub found: i64,
    /// The newest version, which this program needs.
    pub known: i64,
    /// What lies between the two.
    pub missing: &'static [Migration],
}

impl Schema {
    /// Compares what this program knows with the versions and names that were applied to a database, in any order.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`] if the database is ahead, [`StoreError::Damaged`] if it has a hole or is another
    /// program's.
    pub fn compare(known: &'static [Migration], mut applied: Vec<(i64, String)>) -> Result<Schema, StoreError> {
        applied.sort();
        let (found, newest) =
            (applied.last().map_or(0, |(version, _)| *version), known.last().map_or(0, |migration| migration.version));
        if found > newest {
            return Err(StoreError::NewerSchema { found, known: newest });
        }
        let is_same = |(migration, (version, name)): (&Migration, &(i64, String))| {
            migration.version == *version && migration.name == name
        };
        let count = known.iter().zip(&applied).take_while(|pair| is_same(*pair)).count();
        if count != applied.len() {
            let (version, name) = &applied[count];
            return Err(StoreError::Damaged {
                what: format!("its schema has `{version:04}_{name}`, which is not what this program has in that place"),
            });
        }
        Ok(Schema { found, known: newest, missing: &known[count..] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn migration(version: i64) -> Migration {
        Migration { version, name: "some", statement: "select 1" }
    }

    const KNOWN: &[Migration] = &[migration(1), migration(2), migration(3)];

    fn compare(applied: &[i64]) -> Result<Schema, StoreError> {
        Schema::compare(KNOWN, applied.iter().map(|version| (*version, "some".to_owned())).collect())
    }

    #[test]
    fn only_what_is_missing_is_run() {
        assert_eq!(compare(&[]).unwrap(), Schema { found: 0, known: 3, missing: KNOWN });
        assert_eq!(compare(&[2, 1]).unwrap(), Schema { found: 2, known: 3, missing: &KNOWN[2..] });
        assert!(compare(&[1, 2, 3]).unwrap().missing.is_empty());
    }

    #[test]
    fn newer_schema_is_refused_with_both_versions_and_the_way_out() {
        let error = compare(&[1, 2, 3, 4]).unwrap_err().to_string();
        assert!(error.contains("version 4") && error.contains("up to 3"), "{error}");
        assert!(error.contains("restore a backup"), "{error}");
    }

    #[test]
    fn hole_in_the_schema_is_refused() {
        assert!(matches!(compare(&[2]), Err(StoreError::Damaged { .. })));
    }

    #[test]
    fn schema_of_another_program_is_refused() {
        let error = Schema::compare(KNOWN, vec![(1, "some".to_owned()), (2, "users".to_owned())]).unwrap_err();
        assert!(error.to_string().contains("`0002_users`"), "{error}");
    }
}
