//! `get`: lists objects of any kind, in the columns that the server gives them, and watches them.

use std::collections::BTreeMap;

use futures::future::try_join_all;
use serde_json::{Value, json};

use super::targets::{self, Named, Selection};
use crate::api::{ApiError, Catalog, JSON, News, Query, Resource, Session, TABLE, Watch};
use crate::args::Global;
use crate::args::objects::GetArgs;
use crate::connect;
use crate::error::{Error, Exit};
use crate::jsonpath::{self, Template};
use crate::output::custom::CustomColumns;
use crate::output::listing::{Columns, Shape};
use crate::output::table::Layout;
use crate::output::{Screen, yaml};

/// How objects are printed.
enum Format {
    Table { wide: bool },
    Yaml,
    Json,
    Name,
    JsonPath(Template),
    Columns(CustomColumns),
}

/// Lists, and watches.
pub(super) async fn run(args: &GetArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    let format = format(args.output.as_deref())?;
    let sort = args.sort_by.as_deref().map(Template::parse).transpose().map_err(Error::Usage)?;
    let manifests = if args.filenames.is_empty() {
        Vec::new()
    } else {
        targets::of_files(&args.filenames, args.recursive, global.namespace.as_deref())?
    };
    let session = connect::connect(global, screen).await?;
    let catalog = Catalog::fetch(&session).await?;
    let selection = if manifests.is_empty() {
        targets::select(&args.targets, &catalog, session.namespace())?
    } else {
        let mut objects = Vec::new();
        for manifest in &manifests {
            let named = targets::of_manifest(manifest, &catalog, &session);
            objects.push(named.ok_or_else(|| targets::no_such_kind(manifest))?);
        }
        Selection::Objects(objects)
    };
    if matches!(selection, Selection::Objects(_)) && (args.selector.is_some() || args.all_namespaces) {
        return Err(Error::Usage("a name and -l or -A do not go together".to_owned()));
    }
    let get = Get { session: &session, args, format, sort, screen };
    if args.watch || args.watch_only { get.watch(selection).await } else { get.list(selection).await }
}

fn format(output: Option<&str>) -> Result<Format, Error> {
    Ok(match output {
        None => Format::Table { wide: false },
        Some("wide") => Format::Table { wide: true },
        Some("yaml") => Format::Yaml,
        Some("json") => Format::Json,
        Some("name") => Format::Name,
        Some(other) => match other.split_once('=') {
            Some(("jsonpath", template)) => Format::JsonPath(Template::parse(template).map_err(Error::Usage)?),
            Some(("custom-columns", text)) => Format::Columns(CustomColumns::parse(text).map_err(Error::Usage)?),
            _ => {
                return Err(Error::Usage(format!(
                    "`{other}` is not a format; there are yaml, json, wide, name, jsonpath=TEMPLATE and custom-columns=HEADING:PATH,..."
                )));
            }
        },
    })
}

struct Get<'a> {
    session: &'a Session,
    args: &'a GetArgs,
    format: Format,
    sort: Option<Template>,
    screen: &'a Screen,
}

/// The rows of one kind.
struct Group {
    resource: Resource,
    table: Value,
}

impl Get<'_> {
    async fn list(&self, selection: Selection) -> Result<(), Error> {
        if let Format::Table { .. } = self.format {
            return self.tables(selection).await;
        }
        let mut missing = Vec::new();
        let (mut objects, single) = match &selection {
            Selection::Objects(named) => {
                let mut objects = Vec::new();
                for one in named {
                    match self.session.get(&one.path()).await {
                        Ok(object) => objects.push(object),
                        Err(error) => self.absent(error, &mut missing)?,
                    }
                }
                (objects, named.len() == 1)
            }
            Selection::Kinds(kinds) => {
                let query = self.query();
                let lists = kinds.iter().map(|kind| targets::list(self.session, kind, self.namespace(), &query));
                (try_join_all(lists).await?.into_iter().flatten().collect(), false)
            }
        };
        if let Some(template) = &self.sort {
            objects.sort_by(|left, right| compare(template.first(left), template.first(right)));
        }
        if !(single && objects.is_empty()) {
            self.print(objects, single, &selection, &mut false)?;
        }
        end(self.screen, &missing)
    }

    /// Prints objects; `headed` says whether the line of headings was printed before.
    fn print(
        &self,
        mut objects: Vec<Value>,
        single: bool,
        selection: &Selection,
        headed: &mut bool,
    ) -> Result<(), Error> {
        if !self.args.show_managed_fields {
            objects.iter_mut().for_each(yaml::without_managed_fields);
        }
        match &self.format {
            Format::Name => {
                for object in &objects {
                    self.screen.line(&full_name(object, selection))?;
                }
                return Ok(());
            }
            Format::Columns(columns) => {
                let heading = !self.args.no_headers && !std::mem::replace(headed, true);
                for line in columns.lines(&objects, self.screen.paint()).into_iter().skip(usize::from(!heading)) {
                    self.screen.line(&line)?;
                }
                return Ok(());
            }
            _ => {}
        }
        let whole = if single {
            objects.remove(0)
        } else {
            json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": objects})
        };
        match &self.format {
            Format::Json => self.screen.text(&yaml::json(&whole))?,
            Format::JsonPath(template) => self.screen.text(&template.render(&whole))?,
            _ => self.screen.text(&yaml::yaml(&whole))?,
        }
        Ok(())
    }

    async fn tables(&self, selection: Selection) -> Result<(), Error> {
        let mut missing = Vec::new();
        let (several, namespaced) = match &selection {
            Selection::Objects(named) => (named.iter().any(|one| one.resource != named[0].resource), false),
            Selection::Kinds(kinds) => (kinds.len() > 1, kinds.iter().any(|kind| kind.namespaced)),
        };
        let by_name = matches!(selection, Selection::Objects(_));
        let groups = match selection {
            Selection::Objects(named) => self.named_rows(&named, &mut missing).await?,
            Selection::Kinds(kinds) => {
                let query = self.query();
                let tables = kinds.iter().map(|kind| {
                    let path = kind.collection(self.namespace());
                    let query = query.clone();
                    async move { targets::pages(self.session, &path, &query, TABLE, "rows").await }
                });
                let tables = try_join_all(tables).await?;
                let groups = kinds.into_iter().zip(tables).map(|(resource, table)| Group { resource, table });
                groups.filter(|group| !rows(&group.table).is_empty()).collect()
            }
        };
        if groups.is_empty() && !by_name {
            self.screen.note(&match self.namespace().filter(|_| namespaced) {
                Some(namespace) => format!("No resources found in {namespace} namespace."),
                None => "No resources found.".to_owned(),
            });
        }
        for (index, mut group) in groups.into_iter().enumerate() {
            if index > 0 {
                self.screen.line("")?;
            }
            self.table(&mut group, several)?;
        }
        end(self.screen, &missing)
    }

    async fn named_rows(&self, named: &[Named], missing: &mut Vec<ApiError>) -> Result<Vec<Group>, Error> {
        let mut groups: Vec<Group> = Vec::new();
        for one in named {
            match self.session.get_as(&self.query().on(&one.path()), TABLE).await {
                Ok(mut table) => match groups.iter_mut().find(|group| group.resource == one.resource) {
                    Some(group) => {
                        let more = table["rows"].as_array_mut().map(std::mem::take).unwrap_or_default();
                        if let Some(rows) = group.table["rows"].as_array_mut() {
                            rows.extend(more);
                        }
                    }
                    None => groups.push(Group { resource: one.resource.clone(), table }),
                },
                Err(error) => self.absent(error, missing)?,
            }
        }
        Ok(groups)
    }

    fn table(&self, group: &mut Group, several: bool) -> Result<(), Error> {
        if let (Some(template), Some(rows)) = (&self.sort, group.table["rows"].as_array_mut()) {
            rows.sort_by(|left, right| compare(template.first(&left["object"]), template.first(&right["object"])));
        }
        let prefix = if several { group.resource.full_name("") } else { String::new() };
        let shape = self.shape(&group.resource, &prefix);
        let columns = Columns::new(&group.table, shape);
        let cells: Vec<_> = rows(&group.table).iter().map(|row| columns.cells(row, shape)).collect();
        let layout = Layout::new(columns.headings, &cells);
        if !self.args.no_headers {
            self.screen.line(&layout.heading())?;
        }
        for row in &cells {
            self.screen.line(&layout.line(row, self.screen.paint()))?;
        }
        Ok(())
    }

    async fn watch(&self, selection: Selection) -> Result<(), Error> {
        let (resource, path, query) = match selection {
            Selection::Kinds(mut kinds) if kinds.len() == 1 => {
                let resource = kinds.remove(0);
                let path = resource.collection(self.namespace());
                (resource, path, self.query())
            }
            Selection::Objects(mut named) if named.len() == 1 => {
                let one = named.remove(0);
                let path = one.resource.collection(Some(&one.namespace));
                let query = Query::new().with("fieldSelector", format!("metadata.name={}", one.name));
                if !self.args.ignore_not_found {
                    self.session.get(&one.path()).await?;
                }
                (one.resource, path, query)
            }
            _ => return Err(Error::Usage("-w watches one kind, or one object".to_owned())),
        };
        if let Format::Table { .. } = self.format {
            self.watch_rows(&resource, path, query).await
        } else {
            self.watch_objects(&resource, path, query).await
        }
    }

    async fn watch_rows(&self, resource: &Resource, path: String, query: Query) -> Result<(), Error> {
        let shape = self.shape(resource, "");
        let mut watch = Watch::new(self.session, path, query, TABLE);
        let mut shown: Option<(Columns, Layout)> = None;
        let mut seen = BTreeMap::new();
        loop {
            let news = watch.next().await?;
            let first = shown.is_none();
            let (News::Listed(table) | News::Changed(table) | News::Deleted(table)) = &news;
            let cells_of = |columns: &Columns, table: &Value| -> Vec<(String, String, Vec<String>)> {
                rows(table).iter().map(|row| identity(row, columns.cells(row, shape))).collect()
            };
            if shown.is_none() {
                let columns = Columns::new(table, shape);
                let cells: Vec<_> = cells_of(&columns, table).into_iter().map(|(_, _, cells)| cells).collect();
                let layout = Layout::new(columns.headings.clone(), &cells);
                if cells.is_empty() {
                    // Fixed by the first row that comes; an empty list says nothing about widths.
                } else if !self.args.no_headers && !self.args.watch_only {
                    self.screen.line(&layout.heading())?;
                }
                shown = Some((columns, layout));
            }
            let Some((columns, layout)) = &mut shown else { continue };
            let mut printed_heading = !seen.is_empty() || !first;
            for (name, version, cells) in cells_of(columns, table) {
                if matches!(news, News::Listed(_)) && seen.get(&name) == Some(&version) {
                    continue;
                }
                if seen.is_empty() && (!first || self.args.watch_only) && !self.args.no_headers && printed_heading {
                    *layout = Layout::new(columns.headings.clone(), std::slice::from_ref(&cells));
                    self.screen.line(&layout.heading())?;
                    printed_heading = false;
                }
                seen.insert(name, version);
                if first && self.args.watch_only {
                    continue;
                }
                layout.grow(&cells);
                self.screen.line(&layout.line(&cells, self.screen.paint()))?;
            }
        }
    }

    async fn watch_objects(&self, resource: &Resource, path: String, query: Query) -> Result<(), Error> {
        let selection = Selection::Kinds(vec![resource.clone()]);
        let mut watch = Watch::new(self.session, path, query, JSON);
        let mut seen: BTreeMap<String, String> = BTreeMap::new();
        let (mut first, mut headed) = (true, false);
        loop {
            let objects = match watch.next().await? {
                News::Listed(mut list) => list["items"].as_array_mut().map(std::mem::take).unwrap_or_default(),
                News::Changed(object) | News::Deleted(object) => vec![object],
            };
            for mut object in objects {
                if object["kind"].is_null() {
                    object["apiVersion"] = resource.api_version().into();
                    object["kind"] = resource.kind.clone().into();
                }
                let version = jsonpath::plain(&object["metadata"]["resourceVersion"]);
                let name = format!("{}/{}", object["metadata"]["namespace"], object["metadata"]["name"]);
                let known = seen.insert(name, version.clone()) == Some(version);
                if known || first && self.args.watch_only {
                    continue;
                }
                if let Format::Yaml = self.format {
                    self.screen.line("---")?;
                }
                self.print(vec![object], true, &selection, &mut headed)?;
            }
            first = false;
        }
    }

    fn absent(&self, error: ApiError, missing: &mut Vec<ApiError>) -> Result<(), Error> {
        if !error.is_not_found() {
            return Err(Error::Api(error));
        }
        if !self.args.ignore_not_found {
            missing.push(error);
        }
        Ok(())
    }

    fn namespace(&self) -> Option<&str> {
        (!self.args.all_namespaces).then(|| self.session.namespace())
    }

    fn query(&self) -> Query {
        Query::new()
            .with_set("labelSelector", self.args.selector.as_deref())
            .with_set("fieldSelector", self.args.field_selector.as_deref())
            .with_set("includeObject", self.sort.is_some().then_some("Object"))
    }

    fn shape<'a>(&self, resource: &Resource, prefix: &'a str) -> Shape<'a> {
        Shape {
            wide: matches!(self.format, Format::Table { wide: true }),
            namespace: self.args.all_namespaces && resource.namespaced,
            labels: self.args.show_labels,
            prefix,
        }
    }
}

fn rows(table: &Value) -> &[Value] {
    table["rows"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Which object a row is about, in which version.
fn identity(row: &Value, cells: Vec<String>) -> (String, String, Vec<String>) {
    let metadata = &row["object"]["metadata"];
    let name = format!("{}/{}", metadata["namespace"], metadata["name"]);
    (name, jsonpath::plain(&metadata["resourceVersion"]), cells)
}

fn full_name(object: &Value, selection: &Selection) -> String {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let fits = |resource: &&Resource| object["kind"] == resource.kind && object["apiVersion"] == resource.api_version();
    let resource = match selection {
        Selection::Objects(named) => named.iter().map(|named| &named.resource).find(fits),
        Selection::Kinds(kinds) => kinds.iter().find(fits),
    };
    resource.map_or_else(|| name.to_owned(), |resource| resource.full_name(name))
}

/// Objects that were asked for by name and are not there.
fn end(screen: &Screen, missing: &[ApiError]) -> Result<(), Error> {
    for error in missing {
        screen.error(&error.to_string());
    }
    if missing.is_empty() { Ok(()) } else { Err(Error::Silent(Exit::NotFound)) }
}

/// Numbers by size, everything else by its letters; what is not there comes first.
fn compare(left: Option<&Value>, right: Option<&Value>) -> std::cmp::Ordering {
    match (left.and_then(Value::as_f64), right.and_then(Value::as_f64)) {
        (Some(left), Some(right)) => left.total_cmp(&right),
        _ => left.map(jsonpath::plain).cmp(&right.map(jsonpath::plain)),
    }
}

#[cfg(test)]
mod tests;
