//! `admin orphans`: data that outlived its object stays until somebody adopts it or says that it may go.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::args::Global;
use crate::args::admin::OrphansCommand;
use crate::connect;
use crate::error::Error;
use crate::output::{Screen, age, table};

const PATH: &str = "/admin/v1/orphans";
const HEADINGS: &[&str] = &["NAMESPACE", "KIND", "NAME", "SIZE", "AGE", "BACKEND", "STATE", "UID"];

/// Lists, adopts or purges.
pub(super) async fn run(command: &OrphansCommand, global: &Global, screen: &Screen) -> Result<(), Error> {
    let session = connect::connect(global, screen).await?;
    match command {
        OrphansCommand::List(args) => {
            let told = session.get(PATH).await?;
            if args.output.is_some() {
                screen.line(&serde_json::to_string_pretty(&told).unwrap_or_default())?;
                return Ok(());
            }
            let now = Timestamp::now();
            let orphans = told["items"].as_array().into_iter().flatten();
            let rows: Vec<Vec<String>> = orphans.map(|orphan| row(orphan, now)).collect();
            if rows.is_empty() {
                screen.note("All data has an object.");
                return Ok(());
            }
            for line in table::lines(HEADINGS, &rows, screen.paint()) {
                screen.line(&line)?;
            }
        }
        OrphansCommand::Adopt(args) => {
            let wish = json!({"namespace": global.namespace, "name": args.name});
            let told = session.post(&format!("{PATH}/{}/adopt", segment(&args.uid)?), &wish).await?;
            let object = &told["object"];
            screen.line(&format!("{} takes it over.", shown(object)))?;
            screen.note(&format!(
                "To see that it did: cloudctl get {} {} -n {}",
                text(&object["of"]).to_lowercase(),
                text(&object["name"]),
                text(&object["namespace"])
            ));
        }
        OrphansCommand::Purge(args) => {
            let told = session.delete(&format!("{PATH}/{}", segment(&args.uid)?), &json!({})).await?;
            let orphan = &told["orphan"];
            screen.line(&format!("The data of {}, {}, is gone.", shown(orphan), text(&orphan["size"])))?;
        }
    }
    Ok(())
}

fn row(orphan: &Value, now: Timestamp) -> Vec<String> {
    let state = match orphan["claimedBy"].as_str() {
        Some(heir) => format!("wanted by {heir}"),
        None if orphan["retained"] == true => "retained".to_owned(),
        None => "without an object".to_owned(),
    };
    let [namespace, kind, name, size] =
        ["namespace", "of", "name", "size"].map(|field| text(&orphan[field]).to_owned());
    // Only of snapshots of machines are these known.
    let age = age::since(text(&orphan["takenAt"]), now);
    let backend = text(&orphan["backend"]).to_owned();
    vec![namespace, kind, name, size, age, backend, state, text(&orphan["uid"]).to_owned()]
}

fn shown(object: &Value) -> String {
    format!("{} {}/{}", text(&object["of"]), text(&object["namespace"]), text(&object["name"]))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A uid as a part of a path: nothing else is one.
fn segment(uid: &str) -> Result<&str, Error> {
    if !uid.is_empty() && uid.chars().all(|letter| letter.is_ascii_hexdigit() || letter == '-') {
        return Ok(uid);
    }
    Err(Error::Failed(format!("`{uid}` is no uid; `cloudctl admin orphans list` shows them")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_whose_it_was_and_what_becomes_of_it() {
        let now = "2026-01-02T05:04:05Z".parse().unwrap();
        let mut orphan = json!({"of": "Volume", "namespace": "shop", "name": "data", "size": "64Mi", "uid": "u"});
        assert_eq!(row(&orphan, now), ["shop", "Volume", "data", "64Mi", "", "", "without an object", "u"]);
        orphan["retained"] = true.into();
        assert_eq!(row(&orphan, now)[6], "retained");
        orphan["claimedBy"] = "Volume `shop/heir`".into();
        assert_eq!(row(&orphan, now)[6], "wanted by Volume `shop/heir`");
        (orphan["takenAt"], orphan["backend"]) = ("2026-01-02T03:04:05Z".into(), "libvirt".into());
        assert_eq!(row(&orphan, now)[4..6], ["120m", "libvirt"]);
    }

    #[test]
    fn only_a_uid_becomes_a_part_of_a_path() {
        assert!(segment("0b0c-1d").is_ok());
        assert!(segment("../backup").is_err() && segment("").is_err());
    }
}
