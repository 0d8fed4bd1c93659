//! Two hundred secret values are planted wherever a user may put one. Then everything that is written down anywhere is
//! searched for them, as they are and in base64.

use std::fs;
use std::path::Path;
use std::process::Command;

use apiserver_store_postgres::testing::PostgresServer;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::{Cloud, Store, binary, condition, docker_is_there, run, run_command, skip_unless};
use serde_json::{Value, json};

use crate::machine::sleeper;
use crate::storage::shell;

/// How many values are planted.
const VALUES: usize = 200;

/// All values have the same middle: who finds that has found one of them, and who finds none has found none.
struct Planted {
    middle: String,
    given: usize,
    /// What the server itself made up and gave out: of a key or a token the part that proves it.
    issued: Vec<String>,
}

impl Planted {
    fn new() -> Self {
        let id = fs::read_to_string("/proc/sys/kernel/random/uuid").expect("the kernel has random numbers");
        Self { middle: id.trim().replace('-', ""), given: 0, issued: Vec::new() }
    }

    /// The next value.
    fn value(&mut self) -> String {
        self.given += 1;
        format!("v{}-{}-end", self.given, self.middle)
    }

    /// So many keys with a value each.
    fn map(&mut self, count: usize) -> Value {
        (0..count)
            .map(|number| (format!("KEY_{number}"), self.value().into()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    /// The same, as a Secret's `data`.
    fn data(&mut self, count: usize) -> Value {
        let Value::Object(mut map) = self.map(count) else { unreachable!("it is a map") };
        for value in map.values_mut() {
            *value = STANDARD.encode(value.as_str().expect("a text")).into();
        }
        map.into()
    }

    /// What is searched for looks like: as it is, in base64 at each of the places where it may begin, in base64 of that.
    fn looks(&self) -> Vec<String> {
        let shifted = |text: &str, by: usize| {
            let encoded = STANDARD.encode([&vec![b'x'; by], text.as_bytes()].concat());
            // What shares a character with a neighbour.
            encoded[(by * 8).div_ceil(6)..encoded.len() - 4].to_owned()
        };
        let sought: Vec<&String> = [&self.middle].into_iter().chain(&self.issued).collect();
        let plain = sought.iter().map(|text| (*text).clone()).collect();
        let once: Vec<String> = sought.iter().flat_map(|text| (0..3).map(|by| shifted(text, by))).collect();
        let twice = once.iter().flat_map(|text| (0..3).map(move |by| shifted(text, by))).collect::<Vec<_>>();
        [plain, once, twice].concat()
    }

    /// Whether any of the values is in there.
    fn is_in(&self, bytes: &[u8]) -> bool {
        let text = String::from_utf8_lossy(bytes);
        self.looks().iter().any(|look| text.contains(look.as_str()))
    }

    /// The files below a folder that have one, but for a folder of memory.
    fn files(&self, folder: &Path, memory: &Path) -> Vec<String> {
        let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
        let found = entries.flatten().flat_map(|entry| {
            let path = entry.path();
            let kind = entry.file_type().expect("a file has a type");
            if path == memory {
                Vec::new()
            } else if kind.is_dir() {
                self.files(&path, memory)
            } else if kind.is_file() && fs::read(&path).is_ok_and(|content| self.is_in(&content)) {
                vec![path.display().to_string()]
            } else {
                Vec::new()
            }
        });
        found.collect()
    }
}

fn secret(name: &str, content: Value) -> String {
    let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}});
    secret.as_object_mut().expect("an object").extend(content.as_object().expect("an object").clone());
    secret.to_string()
}

/// A patch after which a Secret is none: upstream shows what would have become of it.
const MISFIT: &str = r#"[{"op": "replace", "path": "/data/key", "value": {"no": "text"}}]"#;

/// Writes that must be refused, without a word of what was in them.
fn plant_refused(cloud: &Cloud, planted: &mut Planted) {
    let broken = [
        json!({"data": {"key": format!("{}!!", planted.value())}}),
        json!({"data": {"not a name": STANDARD.encode(planted.value())}}),
        json!({"data": {"key": [planted.value()]}}),
        json!({"type": "kubernetes.io/tls", "data": planted.data(1)}),
        json!({"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": STANDARD.encode(planted.value())}}),
        json!({"type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": planted.value()}}),
        json!({"stringData": {"key": {"inner": planted.value()}}}),
        json!({"stringDatum": {"key": planted.value()}}),
        json!({"immutable": planted.value()}),
        json!({"data": planted.value()}),
    ];
    for content in broken {
        let yaml = secret("broken", content);
        for refused in [
            cloud.cloudctl_with(&["apply", "-f", "-"], &yaml),
            cloud.kubectl_with(&["create", "-f", "-"], &yaml),
            cloud.kubectl_with(&["create", "--validate=ignore", "-f", "-"], &yaml),
        ] {
            if refused.code != 0 {
                assert!(!planted.is_in(refused.stderr.as_bytes()), "a refusal tells: {refused}");
            }
        }
        let _ = cloud.cloudctl(&["delete", "secret", "broken"]);
    }
    let twice = secret("frozen", json!({"immutable": true, "stringData": {"key": planted.value()}}));
    let _ = cloud.kubectl_with(&["create", "-f", "-"], &twice).ok();
    let changed = secret("frozen", json!({"immutable": true, "stringData": {"key": planted.value()}}));
    for refused in [
        cloud.kubectl_with(&["create", "-f", "-"], &changed),
        cloud.kubectl_with(&["replace", "-f", "-"], &changed),
        cloud.cloudctl_with(&["apply", "-f", "-"], &changed),
        cloud.kubectl(&["patch", "secret", "frozen", "--type=json", "-p", MISFIT]),
    ] {
        let said = refused.failed();
        assert!(!planted.is_in(said.as_bytes()), "a refusal tells: {said}");
    }
}

/// Values in Secrets of every make, changed and deleted.
fn plant(cloud: &Cloud, planted: &mut Planted) {
    cloud.apply(&secret("env", json!({"data": planted.data(30)})));
    cloud.apply(&secret("all", json!({"stringData": planted.map(30)})));
    cloud.apply(&secret("files", json!({"data": planted.data(30)})));
    // The annotation that kubectl leaves has them once more.
    for round in 0..2 {
        let client_side = secret("client-side", json!({"stringData": planted.map(10), "data": planted.data(3)}));
        let _ = cloud.kubectl_with(&["apply", "-f", "-"], &client_side).ok();
        let server_side = secret("server-side", json!({"stringData": planted.map(10)}));
        let _ = cloud.kubectl_with(&["apply", "--server-side", "-f", "-"], &server_side).ok();
        let literal = format!("--from-literal=key={}", planted.value());
        let _ = cloud.kubectl(&["create", "secret", "generic", &format!("made-{round}"), &literal]).ok();
        let patch = json!({"stringData": planted.map(5)}).to_string();
        let _ = cloud.kubectl(&["patch", "secret", "made-0", "-p", &patch]).ok();
    }
    // Versions, and what cloudctl reads, makes and rolls back.
    for _ in 0..3 {
        let _ = cloud.cloudctl_with(&["secret", "put", "kept", "key"], &planted.value()).ok();
    }
    let _ = cloud.cloudctl_with(&["secret", "put", "kept", "--from-file", "file=-"], &planted.value()).ok();
    let _ = cloud.cloudctl(&["secret", "rollback", "kept", "--to", "1"]).ok();
    let versions = cloud.cloudctl(&["secret", "versions", "kept"]).ok();
    assert_eq!(versions.lines().count(), 6, "{versions}");
    let first = cloud.cloudctl(&["secret", "get", "kept", "--version", "1"]).ok();
    assert_eq!(cloud.cloudctl(&["secret", "get", "kept", "key"]).ok(), first);
    assert!(planted.is_in(first.as_bytes()), "a version is what it was: {first}");
    let registry = json!({"auths": {"registry.example": {"username": "me", "password": planted.value()}}});
    let registry =
        json!({"type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": registry.to_string()}});
    cloud.apply(&secret("registry", registry));
    plant_refused(cloud, planted);
    while planted.given < VALUES {
        cloud.apply(&secret("gone", json!({"data": planted.data(5)})));
        let _ = cloud.cloudctl(&["delete", "secret", "gone"]).ok();
    }
}

/// Passwords that are right, wrong and refused, the tokens of a login, and an API key.
fn plant_logins(cloud: &Cloud, planted: &mut Planted) {
    let home = tempfile::tempdir().unwrap();
    let cloudctl = |line: &str, stdin: &str| {
        let mut command = Command::new(binary("cloudctl"));
        command.arg("--kubeconfig").arg(cloud.kubeconfig()).args(line.split(' ')).env("CLOUD_HOME", home.path());
        run_command(&mut command, stdin)
    };
    let (password, wrong) = (planted.value(), planted.value());
    let _ = cloudctl("user create ann", "").ok();
    let _ = cloudctl("passwd ann --password-stdin", &password).ok();
    let _ = cloudctl("login --user ann --password-stdin", &wrong).failed();
    let _ = cloudctl(&format!("login --user {wrong} --password-stdin"), &password).failed();
    let _ = cloudctl("passwd ann --password-stdin", &planted.value().repeat(7)).failed();
    let _ = cloudctl("login --user ann --password-stdin", &password).ok();
    let mut files = fs::read_dir(home.path().join("credentials")).unwrap().map(|file| file.unwrap().path());
    let login = files.find(|file| file.extension().is_some_and(|end| end == "json")).expect("a login is kept");
    let login: Value = serde_json::from_str(&fs::read_to_string(login).unwrap()).unwrap();
    let key = cloudctl("apikey create ci --user ann --expires 2100-01-01T00:00:00Z", "").ok();
    for token in [&login["tokens"]["refreshToken"], &login["tokens"]["accessToken"], &key.trim().into()] {
        let (_, proof) = token.as_str().unwrap().rsplit_once('.').expect("the last part proves it");
        // An ApiKey's status shows how the key begins.
        planted.issued.push(proof[4..].to_owned());
    }
}

const WEB: &str = "command: [sh, -c]
args: [\"test -n $(KEY) && exec sleep 1000000\"]
env:
- {name: KEY, valueFrom: {secretKeyRef: {name: env, key: KEY_0}}}
- {name: URL, value: \"https://$(KEY)@db\"}
envFrom: [{secretRef: {name: all}}]
volumes: [{secret: files, mountPath: /files}]
healthCheck: {exec: {command: [sh, -c, \"test -n $KEY_1\"]}, periodSeconds: 1}
";

#[test]
fn nothing_that_is_written_down_holds_one_of_two_hundred_secret_values() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let mut cloud = Cloud::builder().through(&["env", "RUST_LOG=trace"]).start();
    let mut planted = Planted::new();
    plant(&cloud, &mut planted);
    plant_logins(&cloud, &mut planted);
    cloud.apply(&sleeper("web", WEB));
    cloud.await_ready("instances", "web");

    // They are where they belong.
    let held = cloud.object("secrets", "env");
    let first = held["data"]["KEY_0"].as_str().map(|text| STANDARD.decode(text).unwrap()).unwrap();
    let first = String::from_utf8(first).unwrap();
    let told = shell(&cloud, "web", "echo $KEY $URL; cat /files/KEY_0");
    assert!(told.starts_with(&format!("{first} https://{first}@db\n")) && planted.is_in(told.as_bytes()), "{told}");

    // A new container, a restart, a snapshot, a change: each is a chance to spill one.
    let container = cloud.container("web");
    cloud.apply(&secret("env", json!({"data": planted.data(1)})));
    let _ = cloud.cloudctl(&["restart", "web"]).ok();
    let snapshot = "apiVersion: thecloud.dev/v1alpha1\nkind: InstanceSnapshot\nmetadata:\n  name: before\nspec:\n  \
                    instance: web\n";
    cloud.apply(snapshot);
    cloud.await_ready("instancesnapshots", "before");
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("backup");
    let _ = cloud.cloudctl(&["admin", "backup", "-o", backup.to_str().unwrap()]).ok();

    let installation = cloud.installation();
    let memory = cloud.data_dir().join(&installation).join("files");
    assert!(!planted.files(&memory, Path::new("")).is_empty(), "the search finds what is there");
    let secrets = cloud.cloudctl(&["get", "secrets", "-o", "yaml"]).ok();
    assert!(planted.is_in(secrets.as_bytes()), "and in base64, too");

    let mut told = vec![
        ("log", cloud.log()),
        ("backup", fs::read_to_string(&backup).unwrap()),
        ("events", cloud.kubectl(&["get", "events", "-A", "-o", "json"]).ok()),
        ("Instances", cloud.kubectl(&["get", "instances,instancesnapshots", "-A", "-o", "json"]).ok()),
        ("describe", cloud.cloudctl(&["describe", "secrets"]).ok()),
        ("describe", cloud.cloudctl(&["describe", "instance", "web"]).ok()),
        ("list", cloud.cloudctl(&["secret", "list"]).ok()),
        ("versions", cloud.cloudctl(&["secret", "versions", "kept"]).ok()),
        ("audit", cloud.cloudctl(&["audit", "--kind", "secrets", "--limit", "1000"]).ok()),
        ("diff", cloud.cloudctl_with(&["diff", "-f", "-"], &secret("all", json!({"data": planted.data(1)}))).stdout),
        ("Docker", cloud.docker().call(&["inspect", &container]).ok()),
        ("processes", run("ps", ["axww", "-o", "args"], "").ok()),
    ];
    let label = format!("label=thecloud.dev/installation={installation}");
    for image in cloud.docker().call(&["images", "--all", "--quiet", "--filter", &label]).ok().lines() {
        told.push(("image", cloud.docker().call(&["inspect", image]).ok()));
        told.push(("history", cloud.docker().call(&["history", "--no-trunc", image]).ok()));
    }
    assert!(told.iter().any(|(what, _)| *what == "image"), "the snapshot is an image");
    assert!(told[0].1.contains("TRACE"), "the log is one of the wordiest");
    for (what, text) in &told {
        assert!(!planted.is_in(text.as_bytes()), "{what} has one: {}", around(&planted, text));
    }

    let root = cloud.docker().call(&["info", "--format", "{{.DockerRootDir}}"]).ok();
    for folder in [
        cloud.data_dir(),
        Path::new(root.trim()).join("containers").join(&container),
        Path::new("/run/containerd/io.containerd.runtime.v2.task/moby").join(&container),
    ] {
        assert_eq!(planted.files(&folder, &memory), Vec::<String>::new(), "while it runs");
    }
    assert_eq!(cloud.stop(), 0);
    assert_eq!(planted.files(&cloud.data_dir(), &memory), Vec::<String>::new(), "and after it has closed its database");
    cloud.launch();
    let _ = cloud.cloudctl(&["delete", "inst", "--all"]).ok();
    let _ = cloud.cloudctl(&["delete", "isnap", "--all"]);
    assert!(!planted.is_in(cloud.log().as_bytes()));
}

#[test]
fn a_changed_secret_restarts_the_container_that_wants_it_and_is_told_of_the_other() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let cloud = Cloud::start();
    let put = |value: &str| cloud.cloudctl_with(&["secret", "put", "db", "key"], value).ok();
    let _ = put("first");
    // Each start writes down what it was given: a command that comes later has what the Secret holds by then.
    let env = "command: [sh, -c, \"echo $KEY > /given; exec sleep 1000000\"]\n\
               env: [{name: KEY, valueFrom: {secretKeyRef: {name: db, key: key}}}]\n";
    cloud.apply(&sleeper("eager", &format!("{env}secretUpdatePolicy: Restart\nrestartPolicy: Never\n")));
    cloud.apply(&sleeper("calm", env));
    for name in ["eager", "calm"] {
        cloud.await_ready("instances", name);
    }
    let held = |name: &str| shell(&cloud, name, "cat /given");
    assert_eq!((held("eager").trim(), held("calm").trim()), ("first", "first"));
    let containers = (cloud.container("eager"), cloud.container("calm"));
    let first = cloud.object("instances", "eager")["status"]["secrets"][0]["digest"].clone();

    let _ = put("second");
    cloud.await_object("instances", "calm", "to say so", |calm| calm["status"]["secrets"][0]["changed"] == true);
    cloud.await_object("instances", "eager", "to be started again", |eager| {
        eager["status"]["secrets"][0]["digest"] != first && condition(eager, "Ready")["status"] == "True"
    });
    assert_eq!((held("eager").trim(), held("calm").trim()), ("second", "first"));
    assert_eq!((cloud.container("eager"), cloud.container("calm")), containers);
    let status = cloud.object("instances", "eager")["status"].clone();
    assert_eq!((&status["restartCount"], &status["secrets"][0]["changed"]), (&json!(0), &Value::Null));
    for name in ["eager", "calm"] {
        let events = cloud.cloudctl(&["events", "--for", &format!("instance/{name}")]).ok();
        assert!(events.contains("SecretChanged") && events.contains("`db`"), "{events}");
    }
    let _ = cloud.cloudctl(&["delete", "inst", "--all"]).ok();
}

#[test]
fn no_dump_of_a_postgres_database_holds_a_secret_value_a_password_or_a_token() {
    let Some(server) = PostgresServer::start() else { return };
    let url = tokio::runtime::Runtime::new().unwrap().block_on(server.create_database());
    let cloud = Cloud::builder().fake().store(Store::Postgres(url.clone())).start();
    let mut planted = Planted::new();
    plant(&cloud, &mut planted);
    plant_logins(&cloud, &mut planted);
    cloud.apply("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: no-secret\ndata: {key: seen-by-everybody}\n");
    let dump = unhexed(&server.dump(&url));
    assert!(dump.contains("seen-by-everybody"), "the search finds what is there");
    assert!(!planted.is_in(dump.as_bytes()), "the dump has one: {}", around(&planted, &dump));
    assert_eq!(planted.files(server.folder(), Path::new("")), Vec::<String>::new());
    assert!(!planted.is_in(cloud.log().as_bytes()));
}

/// A dump with its columns of bytes as text.
fn unhexed(dump: &str) -> String {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let column = |text: &str| {
        let hex = text.trim_start_matches('\\').strip_prefix('x')?;
        let pairs = hex.as_bytes().chunks_exact(2).map(|pair| Some((digit(&pair[0])? * 16 + digit(&pair[1])?) as u8));
        Some(String::from_utf8_lossy(&pairs.collect::<Option<Vec<u8>>>()?).into_owned())
    };
    let columns = dump.split(['\t', '\n']).map(|text| column(text).unwrap_or_else(|| text.to_owned()));
    columns.collect::<Vec<_>>().join("\n")
}

/// The lines with a value.
fn around(planted: &Planted, text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| planted.is_in(line.as_bytes())).take(3).collect();
    lines.join("\n").chars().take(2000).collect()
}
