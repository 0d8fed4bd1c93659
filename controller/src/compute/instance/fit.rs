//! Decides whether what runs an Instance can do what its spec asks for. Pure.

use crds::compute::instance::{BackendName, Instance};

use crate::runtime::Waiting;

/// What can't be had, if anything.
pub(super) fn unfit(instance: &Instance, backend: BackendName) -> Option<Waiting> {
    let message = match backend {
        BackendName::Docker => for_containers(instance),
        BackendName::Libvirt => for_virtual_machines(instance),
    };
    message.map(|message| Waiting::on_user("Invalid", message))
}

fn for_containers(instance: &Instance) -> Option<String> {
    let spec = &instance.spec;
    let asked = [
        ("cloudInit", spec.cloud_init.is_some()),
        ("sshAuthorizedKeys", !spec.ssh_authorized_keys.is_empty()),
        ("resources.disk", spec.resources.as_ref().is_some_and(|resources| resources.disk.is_some())),
    ];
    let (field, _) = asked.into_iter().find(|(_, asked)| *asked)?;
    Some(format!("`{field}` is for virtual machines: leave it out, or set `backend: libvirt`."))
}

fn for_virtual_machines(instance: &Instance) -> Option<String> {
    let spec = &instance.spec;
    let asked = [
        ("command", !spec.command.is_empty()),
        ("args", !spec.args.is_empty()),
        ("workingDir", spec.working_dir.is_some()),
        ("user", spec.user.is_some()),
        ("env", !spec.env.is_empty()),
        ("envFrom", !spec.env_from.is_empty()),
        ("securityContext", spec.security_context.is_some()),
        ("healthCheck.exec", spec.health_check.as_ref().is_some_and(|check| check.exec.is_some())),
    ];
    if let Some((field, _)) = asked.into_iter().find(|(_, asked)| *asked) {
        return Some(format!(
            "`{field}` is for containers: a virtual machine runs what is on its disk. Say in `cloudInit.userData` what it \
             shall do."
        ));
    }
    None
}
