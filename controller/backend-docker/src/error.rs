//! The only place where Docker's errors become the ports'. Docker tells many of them by text alone; each text that is
//! read here is quoted in a test.

use std::net::{IpAddr, SocketAddr};

use bollard::errors::Error as DockerError;
use controller_backend::{Conflict, Error, Machine};

/// `what` is the thing that the call is about, `action` completes "failed to ...".
pub(crate) fn translate(what: &str, action: &str, error: DockerError) -> Error {
    match &error {
        DockerError::DockerResponseServerError { status_code: 404, .. } => Error::not_found(what),
        DockerError::DockerResponseServerError { status_code: 400, message } => {
            Error::Invalid { message: message.clone(), source: Some(error.into()) }
        }
        DockerError::DockerResponseServerError { .. } => Error::failed(action, error),
        _ if is_unanswered(&error) => Error::unavailable("Docker", error),
        _ => Error::failed(action, error),
    }
}

/// Whether the daemon did not answer at all.
fn is_unanswered(error: &DockerError) -> bool {
    matches!(
        error,
        DockerError::RequestTimeoutError
            | DockerError::SocketNotFoundError(_)
            | DockerError::IOError { .. }
            | DockerError::HyperResponseError { .. }
            | DockerError::HyperLegacyError { .. }
    )
}

/// Docker's own words, where it answered.
pub(crate) fn message(error: &DockerError) -> Option<(u16, &str)> {
    match error {
        DockerError::DockerResponseServerError { status_code, message } => Some((*status_code, message)),
        _ => None,
    }
}

/// What kept a machine from starting.
pub(crate) fn translate_start(machine: &Machine, error: DockerError) -> Error {
    let what = format!("machine `{}`", machine.id);
    let Some((_, text)) = message(&error) else { return translate(&what, &format!("start {what}"), error) };
    if let Some(conflict) = taken_port(text, machine) {
        return Error::Conflict { conflict, source: Some(error.into()) };
    }
    if text.contains("Address already in use")
        && let Some(attachment) = machine.attachment
    {
        let conflict = Conflict::AddressTaken { address: attachment.address };
        return Error::Conflict { conflict, source: Some(error.into()) };
    }
    if text.contains("failed to mount local volume") && text.contains("no such file or directory") {
        return Error::not_found(format!("storage of a volume of {what}"));
    }
    if text.contains("bind source path does not exist") {
        return Error::not_found(format!("file set of {what}"));
    }
    if text.contains("network") && text.contains("not found") {
        return Error::not_found(format!("network of {what}"));
    }
    if let Some((_, device)) = text.split_once("adding custom device ") {
        let device = device.split('"').nth(1).unwrap_or_default();
        let message = format!("the host has no device `{device}`");
        return Error::Invalid { message, source: Some(error.into()) };
    }
    if text.contains("executable file not found") || text.contains("no such file or directory: unknown") {
        return Error::Invalid { message: "the command is not in the image".to_owned(), source: Some(error.into()) };
    }
    if text.contains("permission denied: unknown") {
        return Error::Invalid { message: "the command cannot be executed".to_owned(), source: Some(error.into()) };
    }
    if text.contains("unable to find user") || text.contains("no matching entries in passwd file") {
        return Error::Invalid { message: "the user is not in the image".to_owned(), source: Some(error.into()) };
    }
    translate(&what, &format!("start {what}"), error)
}

/// `... Bind for 127.0.0.1:8080 failed: port is already allocated`, or
/// `... listen tcp4 127.0.0.1:8080: bind: address already in use`.
fn taken_port(text: &str, machine: &Machine) -> Option<Conflict> {
    let place = if let Some((before, _)) = text.split_once(" failed: port is already allocated") {
        before.rsplit(' ').next()
    } else if let Some((before, _)) = text.split_once(": bind: ") {
        before.rsplit(' ').next()
    } else {
        None
    }?;
    let place: SocketAddr = place.parse().ok().or_else(|| all_addresses(place))?;
    let port = machine.published.iter().find(|port| port.publish.port == place.port())?;
    Some(Conflict::PortTaken { address: port.publish.address, port: port.publish.port, protocol: port.protocol })
}

/// `:::8080` and `:8080` are how the daemon writes "all addresses".
fn all_addresses(place: &str) -> Option<SocketAddr> {
    let port = place.rsplit(':').next()?.parse().ok()?;
    Some(SocketAddr::new(IpAddr::from([0, 0, 0, 0]), port))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use controller_backend::{
        Attachment, MachineId, MachineState, Owner, Protocol, Publish, PublishedPort, Resources, SecurityContext,
    };
    use uuid::Uuid;

    use super::*;

    fn machine() -> Machine {
        let publish = Publish { address: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 8080 };
        Machine {
            id: MachineId("abc".to_owned()),
            name: "tc-web".to_owned(),
            owner: Owner {
                installation: Uuid::nil(),
                kind: "Instance".to_owned(),
                namespace: "default".to_owned(),
                name: "web".to_owned(),
                uid: Uuid::nil(),
            },
            spec_hash: String::new(),
            state: MachineState::Created,
            created_at: jiff::Timestamp::UNIX_EPOCH,
            started_at: None,
            image_id: String::new(),
            attachment: Some(Attachment { network: Uuid::nil(), address: Ipv4Addr::new(10, 0, 0, 2) }),
            published: vec![PublishedPort { port: 80, protocol: Protocol::Tcp, publish }],
            resources: Resources { cpu_millis: 1, memory_bytes: 1, max_memory_bytes: None },
            security: SecurityContext::default(),
            volumes: Vec::new(),
            mounts: None,
            most_processors: None,
            memory: None,
            left_frozen: false,
            stall: None,
        }
    }

    fn start_error(message: &str) -> Error {
        let error = DockerError::DockerResponseServerError { status_code: 500, message: message.to_owned() };
        translate_start(&machine(), error)
    }

    #[test]
    fn taken_ports_are_read_from_both_texts() {
        for text in [
            "driver failed programming external connectivity on endpoint tc-web (0123): \
             Bind for 127.0.0.1:8080 failed: port is already allocated",
            "driver failed programming external connectivity on endpoint tc-web (0123): Error starting userland \
             proxy: listen tcp4 127.0.0.1:8080: bind: address already in use",
        ] {
            let error = start_error(text);
            let Some(Conflict::PortTaken { address, port, protocol }) = error.as_conflict() else {
                panic!("{error:?}")
            };
            assert_eq!((address.to_string().as_str(), *port, *protocol), ("127.0.0.1", 8080, Protocol::Tcp));
        }
    }

    #[test]
    fn other_causes_of_a_failed_start_are_told_apart() {
        let error = start_error("Address already in use");
        let taken = Conflict::AddressTaken { address: Ipv4Addr::new(10, 0, 0, 2) };
        assert_eq!(error.as_conflict(), Some(&taken));
        let error = start_error(
            "error while mounting volume '/var/lib/docker/volumes/tc-x/_data': failed to mount local volume: \
             mount /data/volumes/1/mount/data:/var/lib/docker/volumes/tc-x/_data, flags: 0x1000: \
             no such file or directory",
        );
        assert!(error.is_not_found(), "{error:?}");
        let error = start_error(
            "OCI runtime create failed: container_linux.go:380: starting container process caused: \
             exec: \"nonsense\": executable file not found in $PATH: unknown",
        );
        assert!(
            matches!(&error, Error::Invalid { message, .. } if message == "the command is not in the image"),
            "a command may hold a secret, so it is not repeated: {error:?}"
        );
        let error = start_error(
            "error gathering device information while adding custom device \"/dev/net/tap\": no such file or directory",
        );
        assert!(error.to_string().contains("the host has no device `/dev/net/tap`"), "{error}");
        let error = start_error("network tc-main not found");
        assert!(error.is_not_found(), "{error:?}");
    }
}
