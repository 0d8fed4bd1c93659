//! The options of the OpenID issuer, by kube-apiserver's names.

use std::path::PathBuf;

use anyhow::Context as _;
use apiserver::{Oidc, OidcOptions};
use clap::Args;

/// An issuer whose ID tokens let its users in.
#[derive(Args, Debug, Clone)]
pub(crate) struct OidcArgs {
    /// An OpenID issuer whose ID tokens let its users in, by its https:// address.
    #[arg(long, env = "CLOUD_OIDC_ISSUER_URL", value_name = "URL", requires = "oidc_client_id")]
    pub(crate) oidc_issuer_url: Option<String>,

    /// For whom the tokens must be meant: the name by which the issuer knows this cloud.
    #[arg(long, env = "CLOUD_OIDC_CLIENT_ID", value_name = "ID", requires = "oidc_issuer_url")]
    pub(crate) oidc_client_id: Option<String>,

    /// Which claim is the user's name.
    #[arg(long, env = "CLOUD_OIDC_USERNAME_CLAIM", value_name = "CLAIM", default_value = "sub")]
    pub(crate) oidc_username_claim: String,

    /// What stands before the user's name. Default: the issuer and `#`, and nothing for the claim `email`; `-` for nothing.
    #[arg(long, env = "CLOUD_OIDC_USERNAME_PREFIX", value_name = "PREFIX")]
    pub(crate) oidc_username_prefix: Option<String>,

    /// Which claim has the user's groups. Without it they have none.
    #[arg(long, env = "CLOUD_OIDC_GROUPS_CLAIM", value_name = "CLAIM")]
    pub(crate) oidc_groups_claim: Option<String>,

    /// What stands before each group.
    #[arg(long, env = "CLOUD_OIDC_GROUPS_PREFIX", value_name = "PREFIX", default_value = "")]
    pub(crate) oidc_groups_prefix: String,

    /// A claim that a token must have, as KEY=VALUE; may be given again.
    #[arg(long = "oidc-required-claim", env = "CLOUD_OIDC_REQUIRED_CLAIMS", value_name = "KEY=VALUE", value_delimiter = ',', value_parser = parse_claim)]
    pub(crate) oidc_required_claims: Vec<(String, String)>,

    /// A file with the certificates (PEM) of the authorities by which the issuer proves who it is. Default: the system's.
    #[arg(long, env = "CLOUD_OIDC_CA_FILE", value_name = "FILE")]
    pub(crate) oidc_ca_file: Option<PathBuf>,
}

impl OidcArgs {
    /// The issuer, if there is one. Nothing is asked of it yet.
    ///
    /// # Errors
    /// What was said can't be meant so.
    pub(crate) fn issuer(&self) -> anyhow::Result<Option<Oidc>> {
        let (Some(url), Some(client)) = (&self.oidc_issuer_url, &self.oidc_client_id) else { return Ok(None) };
        let read = |path: &PathBuf| std::fs::read_to_string(path).with_context(|| path.display().to_string());
        let authorities = self.oidc_ca_file.as_ref().map(read).transpose()?;
        let options = OidcOptions {
            issuer_url: url.clone(),
            client_id: client.clone(),
            username_claim: self.oidc_username_claim.clone(),
            username_prefix: self.oidc_username_prefix.clone(),
            groups_claim: self.oidc_groups_claim.clone(),
            groups_prefix: self.oidc_groups_prefix.clone(),
            required_claims: self.oidc_required_claims.clone(),
        };
        Ok(Some(Oidc::new(options, authorities.as_deref())?))
    }
}

fn parse_claim(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or("must be KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::args::Cli;

    fn oidc(options: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from([&["cloudd", "--store", "memory"], options].concat())
    }

    #[test]
    fn an_issuer_and_a_client_belong_together() {
        assert!(oidc(&["--oidc-issuer-url", "https://issuer"]).is_err());
        assert!(oidc(&["--oidc-client-id", "cloud"]).is_err());
        assert!(oidc(&[]).unwrap().all.serve.oidc.issuer().unwrap().is_none());
        let both = ["--oidc-issuer-url", "https://issuer", "--oidc-client-id", "cloud"];
        let missing = [&both[..], &["--oidc-ca-file", "/nowhere/ca.crt"]].concat();
        let error = oidc(&missing).unwrap().all.serve.oidc.issuer().unwrap_err();
        assert!(format!("{error:#}").contains("/nowhere/ca.crt"), "{error:#}");
        let plain = oidc(&["--oidc-issuer-url", "http://issuer", "--oidc-client-id", "cloud"]).unwrap();
        let error = plain.all.serve.oidc.issuer().unwrap_err().to_string();
        assert!(error.contains("https://"), "{error}");
    }

    #[test]
    fn claims_are_keys_and_values() {
        let cli = oidc(&["--oidc-required-claim", "a=b", "--oidc-required-claim", "c=d=e"]).unwrap();
        let claims = [("a".to_owned(), "b".to_owned()), ("c".to_owned(), "d=e".to_owned())];
        assert_eq!(cli.all.serve.oidc.oidc_required_claims, claims);
        assert!(oidc(&["--oidc-required-claim", "a"]).is_err());
    }
}
