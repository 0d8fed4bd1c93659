//! What must hold of a kubeconfig that somebody has, whatever is in it: a panic says that it doesn't. The fuzz target in
//! `fuzz/` calls it with what libFuzzer makes up, the test here with what is kept in `fuzz/corpus/`.

use std::path::Path;

use kube::config::Kubeconfig;
use serde_json::Value;

use crate::login::Server;
use crate::login::kubeconfig::{Context, join, parse};

/// A login that joins the file is found in it again, also after it was written, and what else is there stays.
pub fn kubeconfig(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _unreadable = Kubeconfig::from_yaml(text);
    let Ok(given) = parse(text) else { return };
    let nowhere = Path::new("/nonexistent");
    for named in [None, Some("a")] {
        if let Ok(context) = Context::of(&given, nowhere, named) {
            context.token();
            context.login();
        }
    }
    let server = Server { address: "https://cloud:6443".to_owned(), authority: None };
    let mut config = given.clone();
    let Ok(name) = join(&mut config, &server, "ann", Path::new("/bin/cloudctl"), Path::new("/one.json")) else {
        return;
    };
    let written = serde_saphyr::to_string(&config).expect("it can be written as YAML");
    assert_eq!(parse(&written), Ok(config.clone()), "{written}");
    let context = Context::of(&config, nowhere, Some(&name)).unwrap_or_else(|why| panic!("{why}: {written}"));
    assert_eq!((&context.server, context.token()), (&server, None));
    assert_eq!(context.login().as_deref(), Some(Path::new("/one.json")));
    let others = |config: &Value, list: &str| {
        let items = config[list].as_array().into_iter().flatten();
        items.filter(|item| item["name"] != name && item["name"] != "the-cloud-cloud:6443").cloned().collect::<Vec<_>>()
    };
    for list in ["clusters", "contexts", "users"] {
        assert_eq!(others(&config, list), others(&given, list));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_in_the_corpus_holds() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/kubeconfig");
        let files: Vec<_> = std::fs::read_dir(folder).unwrap().collect::<Result<_, _>>().unwrap();
        assert!(!files.is_empty());
        for file in files {
            println!("{}", file.path().display());
            kubeconfig(&std::fs::read(file.path()).unwrap());
        }
    }
}
