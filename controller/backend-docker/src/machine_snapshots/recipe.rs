//! Decides what the image of a snapshot is made of: the layers that were committed, the settings of the image that the
//! machine was made from, and our marks. Pure.

use std::collections::HashMap;

use bollard::models::ImageInspect;
use serde_json::json;

const BLOCK: usize = 512;

/// What `docker load` is given. It holds no layers: the engine has them all.
pub(super) fn archive(
    origin: &ImageInspect,
    committed: &ImageInspect,
    marks: HashMap<String, String>,
    reference: &str,
) -> Result<Vec<u8>, serde_json::Error> {
    let layers = committed.root_fs.as_ref().and_then(|files| files.layers.clone()).unwrap_or_default();
    let mut config = origin.config.clone().unwrap_or_default();
    config.labels.get_or_insert_default().extend(marks);
    let image = json!({
        "architecture": committed.architecture,
        "os": committed.os,
        "created": serde_json::to_value(&committed.created)?,
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": layers},
    });
    let places: Vec<String> = layers.iter().map(|layer| format!("{}.tar", layer.replace(':', "-"))).collect();
    let manifest = json!([{"Config": "image.json", "RepoTags": [reference], "Layers": places}]);
    let mut archive = Vec::new();
    append(&mut archive, "image.json", &serde_json::to_vec(&image)?);
    append(&mut archive, "manifest.json", &serde_json::to_vec(&manifest)?);
    archive.resize(archive.len() + 2 * BLOCK, 0);
    Ok(archive)
}

/// One file, as POSIX tar has it.
fn append(archive: &mut Vec<u8>, name: &str, content: &[u8]) {
    let mut header = [0_u8; BLOCK];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644");
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{:011o}", content.len()));
    put(136, "00000000000");
    // The sum counts its own place as spaces.
    put(148, "        ");
    put(156, "0");
    put(257, "ustar");
    put(263, "00");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    archive.extend_from_slice(&header);
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(BLOCK), 0);
}

#[cfg(test)]
mod tests {
    use bollard::models::{ImageConfig, ImageInspectRootFs};

    use super::*;

    #[test]
    fn the_image_has_the_settings_of_the_origin_and_nothing_of_the_container() {
        let config = |value: &str| ImageConfig {
            env: Some(vec![format!("A={value}")]),
            cmd: Some(vec![value.to_owned()]),
            exposed_ports: Some(vec!["80/tcp".to_owned()]),
            ..ImageConfig::default()
        };
        let layers = Some(vec!["sha256:1".to_owned(), "sha256:2".to_owned()]);
        let origin = ImageInspect { config: Some(config("origin")), ..ImageInspect::default() };
        let committed = ImageInspect {
            config: Some(config("secret")),
            root_fs: Some(ImageInspectRootFs { typ: "layers".to_owned(), layers }),
            ..ImageInspect::default()
        };
        let marks = HashMap::from([("mark".to_owned(), "ours".to_owned())]);
        let archive = archive(&origin, &committed, marks, "snapshot:1").unwrap();
        assert_eq!(archive.len() % BLOCK, 0);
        let text = String::from_utf8(archive).unwrap();
        assert!(!text.contains("secret"));
        for part in [
            r#""Env":["A=origin"]"#,
            r#""Cmd":["origin"]"#,
            r#""ExposedPorts":{"80/tcp":{}}"#,
            r#""Labels":{"mark":"ours"}"#,
            r#""diff_ids":["sha256:1","sha256:2"]"#,
            r#""Layers":["sha256-1.tar","sha256-2.tar"]"#,
            r#""RepoTags":["snapshot:1"]"#,
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
}
