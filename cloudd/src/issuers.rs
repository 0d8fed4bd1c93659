//! The options of the issuer of service accounts' and users' tokens, by kube-apiserver's names.

use anyhow::Context as _;
use apiserver::ServiceAccountIssuers;
use clap::Args;

use crate::oidc::OidcArgs;

/// By which names tokens go.
#[derive(Args, Debug, Clone)]
pub(crate) struct IssuerArgs {
    /// Who tokens of service accounts say that they are from: a https:// address, or a word. May be given again: the first issues tokens,
    /// those of all count. Every server of one store must be told the same.
    #[arg(
        long = "service-account-issuer",
        env = "CLOUD_SERVICE_ACCOUNT_ISSUER",
        value_name = "ISSUER",
        value_delimiter = ',',
        default_value = apiserver::SERVICE_ACCOUNT_ISSUER
    )]
    pub(crate) service_account_issuers: Vec<String>,

    /// Where others are told to look for the keys that prove those tokens. Default: /openid/v1/jwks of this server.
    #[arg(long, env = "CLOUD_SERVICE_ACCOUNT_JWKS_URI", value_name = "URL")]
    pub(crate) service_account_jwks_uri: Option<String>,
}

impl IssuerArgs {
    /// The names, which are not those of an issuer whose users come in.
    ///
    /// # Errors
    /// What was said can't be meant so.
    pub(crate) fn issuers(&self, oidc: &OidcArgs) -> anyhow::Result<ServiceAccountIssuers> {
        let issuers =
            ServiceAccountIssuers::new(self.service_account_issuers.clone(), self.service_account_jwks_uri.clone())
                .context("--service-account-issuer or --service-account-jwks-uri")?;
        if let Some(other) = oidc.oidc_issuer_url.as_deref().filter(|other| issuers.has(other)) {
            anyhow::bail!(
                "--oidc-issuer-url and --service-account-issuer are both {other}, so nobody could tell whose a token is: \
                 give this cloud a name of its own"
            );
        }
        Ok(issuers)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::Cli;

    fn issuers(options: &[&str]) -> Result<ServiceAccountIssuers, String> {
        let serve = Cli::try_parse_from([&["cloudd"], options].concat()).unwrap().all.serve;
        serve.issuers.issuers(&serve.oidc).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn issuers_are_given_one_by_one_or_with_commas() {
        assert_eq!(issuers(&[]).unwrap(), ServiceAccountIssuers::default());
        let named = |names: &[&str]| {
            ServiceAccountIssuers::new(names.iter().map(|name| (*name).to_owned()).collect(), None).unwrap()
        };
        let both = named(&["https://a", "b"]);
        assert_eq!(issuers(&["--service-account-issuer", "https://a", "--service-account-issuer", "b"]).unwrap(), both);
        assert_eq!(issuers(&["--service-account-issuer", "https://a,b"]).unwrap(), both);
    }

    #[test]
    fn what_can_not_be_an_issuer_is_refused_by_the_name_of_its_option() {
        for (options, says) in [
            (&["--service-account-issuer", "a,a"][..], "--service-account-issuer"),
            (&["--service-account-issuer", "https://[::1]:port"], "--service-account-issuer"),
            (&["--service-account-jwks-uri", "http://a"], "--service-account-jwks-uri"),
            (
                &["--service-account-issuer", "https://a", "--oidc-issuer-url", "https://a", "--oidc-client-id", "b"],
                "--oidc-issuer-url and --service-account-issuer are both https://a",
            ),
        ] {
            let error = issuers(options).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
