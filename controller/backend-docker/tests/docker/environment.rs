//! Environment that comes from Secrets: the process has it, whoever its user is, and Docker doesn't.

use std::process::Command;

use controller_backend::conformance::Fixture;
use controller_backend::{EnvVar, ExecSpec, LogOptions, MachineId, MachineSpec, MachineState, SecretEnvironment};
use futures::StreamExt;

use crate::daemon;
use crate::machines::shell;

const SECRET: &str = "correct-horse-battery-staple";

fn words(words: &[&str]) -> Option<Vec<String>> {
    Some(words.iter().map(|word| (*word).to_owned()).collect())
}

fn password(value: &str) -> SecretEnvironment {
    let variables = vec![EnvVar { name: "PASSWORD".to_owned(), value: value.to_owned() }];
    SecretEnvironment { variables, ..SecretEnvironment::default() }
}

async fn give(fixture: &Fixture, spec: &MachineSpec, environment: &SecretEnvironment) {
    fixture.backend.files.ensure(&spec.owner, &[environment.file_set()]).await.expect("files");
}

fn machine(fixture: &Fixture, name: &str, number: u32, command: &[&str]) -> MachineSpec {
    MachineSpec { command: words(command), has_secret_environment: true, ..fixture.machine(name, number) }
}

async fn ended(fixture: &Fixture, spec: &MachineSpec) -> i64 {
    let is_over = |state: &MachineState| matches!(state, MachineState::Exited(_));
    match fixture.wait_for(spec.owner.uid, "exited", is_over).await.state {
        MachineState::Exited(exit) => exit.code,
        state => panic!("exited, but {state:?}"),
    }
}

async fn log(fixture: &Fixture, id: &MachineId) -> String {
    let log = fixture.backend.consoles.logs(id, LogOptions::default()).await.expect("the log");
    let pieces: Vec<_> = log.collect().await;
    pieces.into_iter().map(|piece| String::from_utf8_lossy(&piece.expect("output").bytes).into_owned()).collect()
}

/// All that Docker tells of a container.
fn inspected(id: &MachineId) -> String {
    let output = Command::new("docker").args(["inspect", &id.0]).output().expect("docker runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn secret_environment_reaches_the_process_and_each_command_and_docker_never_knows_it() {
    daemon::run(async |fixture| {
        // A name in the command stays what it is for Docker; the init has it in full.
        let script = "echo said $PASSWORD $COLOUR $1; exec sleep 1000";
        let spec = MachineSpec {
            args: words(&["name", "$(PASSWORD)"]),
            user: Some("65534:65534".to_owned()),
            working_dir: Some("/tmp".to_owned()),
            ..machine(fixture, "web", 2, &["sh", "-c", script])
        };
        let environment = SecretEnvironment { args: words(&["name", SECRET]), ..password(SECRET) };
        give(fixture, &spec, &environment).await;
        let id = fixture.start(&spec).await;
        let said = async || loop {
            let text = log(fixture, &id).await;
            if text.contains('\n') {
                return text;
            }
        };
        assert_eq!(said().await, format!("said {SECRET} blue {SECRET}\n"));
        let told = shell(fixture, &id, "echo $PASSWORD; id -u; pwd; cat /proc/1/comm").await;
        assert_eq!(told, (0, format!("{SECRET}\n65534\n/tmp\ndocker-init\n")));
        let text = inspected(&id);
        assert!(text.contains("$(PASSWORD)") && !text.contains(SECRET), "{text}");

        let wrote = shell(fixture, &id, "echo x > /.thecloud/environment/environment; echo x > /.thecloud/init").await;
        assert_ne!(wrote.0, 0, "what it reads is not its own to change");
    })
    .await;
}

#[tokio::test]
async fn changed_secret_environment_is_there_after_a_restart() {
    daemon::run(async |fixture| {
        let spec = machine(fixture, "web", 2, &["sh", "-c", "test $PASSWORD = new"]);
        give(fixture, &spec, &password("old")).await;
        let id = fixture.start(&spec).await;
        assert_eq!(ended(fixture, &spec).await, 1);
        give(fixture, &spec, &password("new")).await;
        fixture.backend.machines.start(&id).await.expect("start again");
        assert_eq!(ended(fixture, &spec).await, 0);
    })
    .await;
}

#[tokio::test]
async fn image_of_its_own_entrypoint_is_the_first_process_and_hears_signals() {
    daemon::run(async |fixture| {
        let script = "trap 'exit 7' TERM; echo ready; while true; do sleep 0.05; done";
        let spec = MachineSpec { command: None, args: words(&["sh", "-c", script]), ..machine(fixture, "web", 2, &[]) };
        give(fixture, &spec, &password(SECRET)).await;
        let id = fixture.start(&spec).await;
        while log(fixture, &id).await.is_empty() {}
        assert_eq!(shell(fixture, &id, "cat /proc/1/comm").await.1, "sh\n");
        fixture.backend.machines.stop(&id, std::time::Duration::from_secs(20)).await.expect("stop");
        assert_eq!(ended(fixture, &spec).await, 7);
    })
    .await;
}

#[tokio::test]
async fn command_that_is_not_there_or_cannot_be_run_ends_as_in_a_shell() {
    daemon::run(async |fixture| {
        for (number, command, code, why) in
            [(2, "nonsense", 127, "nonsense: executable file not found in $PATH"), (3, "/etc", 126, "denied")]
        {
            let spec = machine(fixture, &format!("web-{number}"), number, &[command]);
            give(fixture, &spec, &password(SECRET)).await;
            let id = fixture.start(&spec).await;
            assert_eq!(ended(fixture, &spec).await, code);
            let text = log(fixture, &id).await;
            assert!(text.contains(why) && !text.contains(SECRET), "{text}");
        }
    })
    .await;
}

#[tokio::test]
async fn health_of_a_command_is_asked_in_the_same_environment() {
    daemon::run(async |fixture| {
        let spec = machine(fixture, "web", 2, &["sleep", "1000"]);
        give(fixture, &spec, &password(SECRET)).await;
        let id = fixture.start(&spec).await;
        let spec = ExecSpec { command: words(&["nonsense"]).expect("words"), tty: false, stdin: false };
        let session = fixture.backend.consoles.exec(&id, spec).await.expect("exec");
        let _: Vec<_> = session.output.collect().await;
        assert_eq!(session.control.exit_code().await.expect("exit code"), Some(127));
        assert_eq!(shell(fixture, &id, &format!("test $PASSWORD = {SECRET}")).await.0, 0);
    })
    .await;
}

#[tokio::test]
async fn machine_whose_environment_is_not_there_is_not_made() {
    daemon::run(async |fixture| {
        let spec = machine(fixture, "web", 2, &["true"]);
        let error = fixture.backend.machines.create(&spec).await.expect_err("nothing was put there");
        assert!(error.is_not_found() && error.to_string().contains("environment"), "{error}");
    })
    .await;
}
