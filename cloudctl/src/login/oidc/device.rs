//! A login in a browser anywhere, by a short code that somebody types there (RFC 8628): for hosts that no browser can come back to.

use std::time::Duration;

use serde_json::Value;
use url::Url;

use super::error::plain;
use super::http_client::https;
use super::{Granted, Issuer, IssuerError, Provider, http_client};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// Between two questions, where the issuer says nothing.
const PAUSE: u64 = 5;
/// What is added when the issuer finds that too often.
const SLOWER: u64 = 5;
/// An issuer can't have us wait longer.
const LONGEST: u64 = 1800;

/// A login that somebody is to confirm.
#[derive(Debug)]
pub(crate) struct DeviceLogin {
    /// Where.
    pub(crate) page: Url,
    /// What is typed there.
    pub(crate) user_code: String,
    device_code: String,
    pause: u64,
    limit: u64,
}

impl DeviceLogin {
    fn read(issuer: &str, answer: &Value) -> Result<Self, IssuerError> {
        let missing = |field: &str| IssuerError::Unusable {
            issuer: issuer.to_owned(),
            why: format!("it begins a login by a code without {field}"),
        };
        let text = |field: &str| answer[field].as_str().ok_or_else(|| missing(field));
        let seconds = |field: &str, default: u64| answer[field].as_u64().unwrap_or(default).clamp(1, LONGEST);
        Ok(Self {
            page: https(text("verification_uri")?)?,
            user_code: plain(text("user_code")?),
            device_code: text("device_code")?.to_owned(),
            pause: seconds("interval", PAUSE),
            limit: seconds("expires_in", LONGEST),
        })
    }
}

impl Issuer {
    /// Begins one.
    pub(crate) async fn begin_device(
        &self,
        provider: &Provider,
        scopes: &[String],
    ) -> Result<DeviceLogin, IssuerError> {
        let address = provider.device_authorization.as_deref().ok_or_else(|| IssuerError::Unusable {
            issuer: self.url.clone(),
            why: "it has no logins by a code; log in by a browser, without --device".to_owned(),
        })?;
        let scopes = provider.scopes(scopes);
        let proof = self.proof(provider.secret_in);
        let answer = self.accepted(http_client::post(self, address, &[("scope", &scopes)], proof).await?)?;
        DeviceLogin::read(&self.url, &answer)
    }

    /// Waits until somebody has confirmed it.
    pub(crate) async fn finish_device(&self, provider: &Provider, login: &DeviceLogin) -> Result<Granted, IssuerError> {
        let limit = Duration::from_secs(login.limit);
        let answer = tokio::time::timeout(limit, self.poll(provider, login)).await;
        let nobody = || IssuerError::Nobody { issuer: self.url.clone(), minutes: login.limit.div_ceil(60) };
        let answer = answer.unwrap_or_else(|_| Err(nobody()))?;
        self.granted(&answer)?.ok_or_else(|| self.no_id_token())
    }

    async fn poll(&self, provider: &Provider, login: &DeviceLogin) -> Result<Value, IssuerError> {
        let form = [("grant_type", GRANT), ("device_code", login.device_code.as_str())];
        let mut pause = login.pause;
        loop {
            tokio::time::sleep(Duration::from_secs(pause)).await;
            match self.token(provider, &form).await {
                Err(IssuerError::Refused { code, .. }) if code == "authorization_pending" => {}
                Err(IssuerError::Refused { code, .. }) if code == "slow_down" => pause += SLOWER,
                decided => return decided,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::error::chain;

    #[test]
    fn a_login_by_a_code_is_read_within_bounds() {
        let whole = json!({
            "device_code": "d", "user_code": "WDJB\u{7}-MJHT", "verification_uri": "https://issuer/device",
            "expires_in": 900, "interval": 2,
        });
        let login = DeviceLogin::read("https://issuer", &whole).unwrap();
        assert_eq!((login.user_code.as_str(), login.pause, login.limit), ("WDJB-MJHT", 2, 900));
        let with = |field: &str, value: Value| {
            let mut answer = whole.clone();
            answer[field] = value;
            DeviceLogin::read("https://issuer", &answer)
        };
        assert_eq!(with("interval", json!(null)).unwrap().pause, PAUSE);
        assert_eq!(with("interval", json!(0)).unwrap().pause, 1);
        assert_eq!(with("expires_in", json!(1e9 as u64)).unwrap().limit, LONGEST);
        let error = with("user_code", json!(null)).unwrap_err();
        assert!(chain(&error).contains("without user_code"), "{error}");
        assert!(with("verification_uri", json!("file:///etc/passwd")).is_err());
    }
}
