use super::*;

fn is_secret(key: &str) -> bool {
    let mut set = KeySet::default();
    super::super::defaults::KEYS.iter().for_each(|key| set.insert(key).unwrap());
    set.matches(key)
}

/// Names that hold the letters of a secret word and are none.
const INNOCENT: &[&str] = &[
    // author
    "author",
    "authors",
    "authority",
    "authorName",
    "author_id",
    "authored_at",
    "co_author",
    "authenticated",
    "authentic",
    // key
    "monkey",
    "keyboard",
    "key",
    "keys",
    "primary_key",
    "sortKey",
    "keyword",
    "turkey",
    "hockey",
    "keynote",
    "foreign_key",
    "idempotency_key",
    "public_key",
    // token
    "tokenize",
    "tokenizer",
    "tokenized",
    "max_tokens",
    "prompt_tokens",
    "tokenizer_config",
    "token_type",
    "tokenType",
    "token_count",
    // pin
    "spinning",
    "pinned",
    "pins",
    "pinnedAt",
    "opinion",
    "shipping",
    "shipping_address",
    "topping",
    "mapping",
    "ping",
    "pineapple",
    "spin",
    "pinterest",
    "alpine",
    // pan
    "company",
    "companyName",
    "panel",
    "panels",
    "japan",
    "expand",
    "span",
    "pancake",
    "spanish",
    "timespan",
    "panorama",
    "pants",
    // card
    "discard",
    "discarded",
    "cardinal",
    "cardinality",
    "cards_count",
    "scorecard",
    "wildcard",
    "cardiology",
    "cardboard",
    "postcards",
    "card_type",
    "cardType",
    // session, sessions
    "sessions_count",
    "sessions",
    "sessionless",
    "obsession",
    "session_count",
    "sessionExpiresAt",
    "session_expires_in",
    "possession",
    // auth
    "auth_method",
    "authType",
    "auth_provider",
    // salt, secret, crypt, otp, mfa, dob, ssn, iban, pwd, pass, sid
    "salted",
    "salty",
    "basalt",
    "secretary",
    "secretion",
    "cryptocurrency",
    "crypto",
    "encrypted",
    "description",
    "scripts",
    "hotpot",
    "otpions",
    "adobe",
    "dobby",
    "lesson",
    "classname",
    "caliban",
    "urban",
    "passenger",
    "passengers",
    "passed",
    "compass",
    "pass_rate",
    "passage",
    "side",
    "sidebar",
    "residence",
    "inside",
    "president",
    "bypass",
    "passive",
    // csrf*, jwt, bearer, cvv, credentials, certificate, passport, cookie
    "forbearer",
    "bearings",
    "certificates_count",
    "certification",
    "certified",
    "passports_count",
    "cookies_accepted",
    "credit",
    "credits",
    "accredited",
    "credit_limit",
    "credentialing",
    // and what else an order has
    "id",
    "name",
    "email",
    "user",
    "username",
    "status",
    "state",
    "code",
    "country_code",
    "zip_code",
    "promo_code",
    "pincode",
    "sku",
    "total",
    "amount",
    "currency",
    "quantity",
    "account",
    "account_id",
    "account_name",
    "number",
    "order_number",
    "tax",
    "tax_rate",
    "recovery",
    "connection",
    "string",
    "password_changed_at",
    "passwordLength",
    "password_required",
    "mfa_enabled",
    "mfaMethod",
    "otp_length",
    "",
    "_",
    "-",
    "$",
    "1",
    "42",
];

const SECRET: &[&str] = &[
    "password",
    "Password",
    "PASSWORD",
    "passWord",
    "pass_word",
    "password2",
    "password_1",
    "new_password",
    "newPassword",
    "NewPassword",
    "password_confirmation",
    "passwordConfirmation",
    "user[password]",
    "user.password",
    "user[password][]",
    "$password",
    "password?",
    " password ",
    "passwd",
    "passwort",
    "passwords",
    "pwd",
    "db_pwd",
    "DB_PASSWORD",
    "pass",
    "passphrase",
    "passcode",
    "pass\u{200b}word",
    "pass\u{ad}word",
    "secret",
    "secrets",
    "client_secret",
    "clientSecret",
    "CLIENT-SECRET",
    "clientsecret",
    "secret_key",
    "secretKey",
    "AWS_SECRET_ACCESS_KEY",
    "secretName",
    "token",
    "tokens",
    "access_token",
    "accessToken",
    "ACCESS_TOKEN",
    "accesstoken",
    "id_token",
    "refresh-token",
    "deviceToken",
    "oauth2token",
    "JWTToken",
    "token_value",
    "x_token_2",
    "api_key",
    "apiKey",
    "API-Key",
    "APIKey",
    "APIKEY",
    "APIkey",
    "apikey",
    "ApiKey",
    "x-api-key",
    "stripeApiKey",
    "api_keys",
    "api.key",
    "api key",
    "api__key",
    "auth",
    "Auth",
    "basicAuth",
    "auth_header",
    "authorization",
    "Authorization",
    "cookie",
    "Set-Cookie",
    "credential",
    "credentials",
    "awsCredentials",
    "private_key",
    "privateKey",
    "privatekey",
    "private_key_pem",
    "signing_key",
    "encryptionKey",
    "bearer",
    "session",
    "sessionId",
    "session_id",
    "sessionid",
    "SESSIONID",
    "PHPSESSID",
    "JSESSIONID",
    "userSession",
    "sid",
    "csrf",
    "csrftoken",
    "csrfmiddlewaretoken",
    "csrf_token",
    "X-CSRF-Token",
    "_csrf",
    "xsrfToken",
    "jwt",
    "JWT",
    "user_jwt",
    "salt",
    "password_salt",
    "crypt",
    "certificate",
    "client_certificate",
    "otp",
    "totp",
    "otp_code",
    "one_time_otp",
    "mfa",
    "mfaCode",
    "recovery_code",
    "recoveryCodes",
    "recoverycode",
    "backupCodes",
    "pin",
    "PIN",
    "pin_code",
    "cardPin",
    "cvv",
    "cvv2",
    "CVC",
    "card_cvc",
    "card",
    "card_number",
    "cardNumber",
    "cardnumber",
    "creditCard",
    "credit_card",
    "creditcard",
    "debit_card",
    "pan",
    "PAN",
    "card_pan",
    "iban",
    "IBAN",
    "bankIban",
    "account_number",
    "accountNumber",
    "accountnumber",
    "ssn",
    "SSN",
    "user_ssn",
    "userSSN",
    "tax_id",
    "taxId",
    "taxid",
    "passport",
    "passport_number",
    "dob",
    "DOB",
    "date_of_birth",
    "dateOfBirth",
    "connection_string",
    "connectionString",
    "ConnectionStrings_Default_connectionstring",
];

#[test]
fn innocent_names_stay() {
    let wrong: Vec<_> = INNOCENT.iter().filter(|name| is_secret(name)).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn secret_names_are_found() {
    let missed: Vec<_> = SECRET.iter().filter(|name| !is_secret(name)).collect();
    assert!(missed.is_empty(), "{missed:?}");
}

#[test]
fn every_default_finds_itself_in_every_spelling() {
    for name in super::super::defaults::KEYS {
        let name = name.trim_start_matches('=').replace("*_", "some_").replace('*', "");
        let camel: String =
            name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
        let spellings = [
            name.clone(),
            name.to_uppercase(),
            name.replace('_', "-"),
            name.replace('_', " "),
            camel,
        ];
        for spelling in spellings {
            assert!(is_secret(&spelling), "{spelling}");
        }
    }
}

#[test]
fn patterns_find_what_they_say() {
    for (pattern, finds, not) in [
        ("pet_name", "PET-NAME", "carpet_name"),
        ("pet_name", "old.petName.2", "pet_names"),
        ("petName", "pet_name", "pet_full_name"),
        ("=code", "Code", "country_code"),
        ("passw*", "old_passwd", "pass_wire"),
        ("*_token", "a_token", "token"),
        ("x_*_key", "x_amz_key", "x_key"),
        ("*ward", "steward_x", "wardrobe"),
        ("*cre*", "my_secrets", "c_re"),
        ("a*", "apple", "pear"),
        ("acme_ke*", "acmeKeys", "acme_monkey"),
        ("straße", "STRASSE_straße", "strasse"),
    ] {
        let set = KeySet::new([pattern]).unwrap();
        assert!(set.matches(finds), "{pattern} finds {finds}");
        assert!(!set.matches(not), "{pattern} does not find {not}");
    }
    assert!(!KeySet::default().matches("anything"));
}

#[test]
fn a_pattern_that_ends_in_an_excuse_is_taken_at_its_word() {
    assert!(KeySet::new(["token_type"]).unwrap().matches("token_type"));
    assert!(!KeySet::new(["token"]).unwrap().matches("token_type"));
}

#[test]
fn patterns_that_cannot_be_read_are_refused() {
    let long = "x".repeat(65);
    for pattern in ["", "*", "*_*", "a*b", "=a*", "--", "=", long.as_str(), "**", "*fooBar*"] {
        let error = KeySet::new([pattern]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("the pattern `{pattern}` ")), "{error}");
    }
}

/// What is taken out by default never becomes less by accident: each name as people write it.
#[test]
fn every_name_that_is_promised_is_on_a_list() {
    let redactor = Redactor::default();
    let names = |text: &'static str| text.split_ascii_whitespace();
    for name in names(
        "authorization proxy-authorization cookie cookie2 set-cookie www-authenticate authentication-info x-api-key \
         x-auth-token x-csrf-token x-xsrf-token x-amz-security-token x-vault-token x-gitlab-token \
         cf-access-jwt-assertion cf-access-client-secret x-amzn-oidc-data x-amzn-oidc-identity \
         x-goog-iap-jwt-assertion x-forwarded-client-cert dpop stripe-signature x-hub-signature x-hub-signature-256 \
         sec-websocket-protocol",
    ) {
        assert!(redactor.is_sensitive_header(name), "{name}");
        assert!(redactor.is_sensitive_header(&name.to_uppercase()), "{name}");
    }
    for name in names(
        "access_token refresh_token id_token token code state client_secret client_assertion code_verifier assertion \
         SAMLResponse RelayState otp ticket key apikey api_key sig signature AWSAccessKeyId X-Amz-Signature \
         X-Amz-Credential X-Amz-Security-Token X-Goog-Signature X-Goog-Credential",
    ) {
        for name in [name.to_owned(), name.to_uppercase(), name.replace(['_', '-'], "")] {
            assert_eq!(query_of(&redactor, &format!("{name}=v")), format!("{name}=[REDACTED]"));
        }
    }
    for name in names(
        "password passwd passw passwort pwd secret token device_token api_key apikey auth credentials private_key bearer \
         session session_id csrf csrf_nonce jwt salt crypt certificate otp mfa recovery_code pin cvv cvc card \
         credit_card pan iban account_number ssn tax_id passport dob connection_string",
    ) {
        for name in [name.to_owned(), name.to_uppercase(), name.replace('_', "-")] {
            assert!(redactor.is_sensitive_key(&name), "{name}");
        }
    }
}
