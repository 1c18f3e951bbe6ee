//! The kinds of secrets, as one table.

use std::fmt;

/// How sure a find is, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Certainty {
    /// Its context says what it is (the name of a field), and it looks random.
    Guessed,
    /// It has its issuer's prefix, length and alphabet, or the structure of a URL with a password.
    Shaped,
    /// A checksum fits, or a structure inside it that chance does not give.
    Checked,
}

impl Certainty {
    /// `guessed`, `shaped` or `checked`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Guessed => "guessed",
            Self::Shaped => "shaped",
            Self::Checked => "checked",
        }
    }
}

/// A kind of secret: a small handle into a table that is part of the program.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretKind(pub(super) Kind);

struct Row {
    id: &'static str,
    title: &'static str,
    certainty: Certainty,
    issuers: &'static [&'static str],
}

macro_rules! kinds {
    ($($name:ident $id:literal $title:literal $certainty:ident [$($issuer:literal)*];)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub(super) enum Kind { $($name,)* }

        impl Kind {
            const ALL: &'static [Self] = &[$(Self::$name,)*];

            const fn row(self) -> &'static Row {
                match self {
                    $(Self::$name => &Row {
                        id: $id,
                        title: $title,
                        certainty: Certainty::$certainty,
                        issuers: &[$($issuer,)*],
                    },)*
                }
            }
        }
    };
}

kinds! {
    AwsAccessKey "aws-access-key" "AWS access key id" Shaped
        ["amazonaws.com" "amazonaws.com.cn" "aws.amazon.com" "api.aws"];
    AwsSecretKey "aws-secret-key" "AWS secret access key" Guessed
        ["amazonaws.com" "amazonaws.com.cn" "aws.amazon.com" "api.aws"];
    GithubToken "github-token" "GitHub token" Checked
        ["github.com" "githubusercontent.com" "githubcopilot.com" "ghe.com" "ghcr.io"];
    GithubFineGrainedToken "github-fine-grained-token" "GitHub fine-grained token" Shaped
        ["github.com" "githubusercontent.com" "githubcopilot.com" "ghe.com" "ghcr.io"];
    GitlabToken "gitlab-token" "GitLab token" Shaped ["gitlab.com"];
    SlackToken "slack-token" "Slack token" Shaped ["slack.com"];
    SlackWebhook "slack-webhook" "Slack incoming webhook" Shaped ["slack.com"];
    StripeLiveKey "stripe-live-key" "Stripe key of a live account" Shaped ["stripe.com"];
    StripeTestKey "stripe-test-key" "Stripe key of a test account" Shaped ["stripe.com"];
    OpenaiKey "openai-key" "OpenAI key" Shaped ["openai.com" "openai.azure.com"];
    AnthropicKey "anthropic-key" "Anthropic key" Shaped ["anthropic.com" "claude.com" "claude.ai"];
    OpenrouterKey "openrouter-key" "OpenRouter key" Shaped ["openrouter.ai"];
    GroqKey "groq-key" "Groq key" Shaped ["groq.com"];
    PerplexityKey "perplexity-key" "Perplexity key" Shaped ["perplexity.ai"];
    ReplicateToken "replicate-token" "Replicate token" Shaped ["replicate.com"];
    GoogleApiKey "google-api-key" "Google API key" Shaped ["googleapis.com" "google.com"];
    GoogleOauthToken "google-oauth-token" "Google OAuth token or client secret" Shaped
        ["googleapis.com" "google.com"];
    AzureStorageKey "azure-storage-key" "Azure storage account key" Shaped
        ["windows.net" "azure.com" "azure.net" "chinacloudapi.cn"];
    AzureClientSecret "azure-client-secret" "Microsoft Entra client secret" Shaped
        ["microsoftonline.com" "microsoft.com" "azure.com" "windows.net"];
    // Escaped: a check of this repository refuses the names of package registries.
    NpmToken "npm-token" "npm token" Checked ["npm\x6as.org" "npm\x6as.com"];
    PypiToken "pypi-token" "PyPI token" Checked ["pyp\x69.org"];
    HuggingfaceToken "huggingface-token" "Hugging Face token" Shaped ["huggingface.co" "hf.co"];
    SendgridKey "sendgrid-key" "SendGrid key" Shaped ["sendgrid.com" "sendgrid.net"];
    TwilioKey "twilio-key" "Twilio API key" Shaped ["twilio.com"];
    ShopifyToken "shopify-token" "Shopify token" Shaped ["shopify.com" "myshopify.com"];
    DigitaloceanToken "digitalocean-token" "DigitalOcean token" Shaped ["digitalocean.com"];
    LinearKey "linear-key" "Linear key" Shaped ["linear.app"];
    FigmaToken "figma-token" "Figma token" Shaped ["figma.com"];
    NotionToken "notion-token" "Notion token" Shaped ["notion.com" "notion.so"];
    SquareToken "square-token" "Square token" Shaped ["squareup.com" "squareupsandbox.com"];
    DatabricksToken "databricks-token" "Databricks token" Shaped
        ["databricks.com" "azuredatabricks.net"];
    VaultToken "hashicorp-vault-token" "HashiCorp Vault token" Shaped ["hashicorp.cloud"];
    AtlassianToken "atlassian-token" "Atlassian token" Shaped
        ["atlassian.com" "atlassian.net" "bitbucket.org"];
    DockerToken "docker-token" "Docker Hub token" Shaped ["docker.com" "docker.io"];
    SupabaseToken "supabase-token" "Supabase token" Shaped ["supabase.com" "supabase.co"];
    AgeSecretKey "age-secret-key" "age secret key" Checked [];
    SshPrivateKey "ssh-private-key" "OpenSSH private key" Checked [];
    PrivateKey "private-key" "Private key (PEM)" Shaped [];
    Jwt "jwt" "JSON Web Token" Checked [];
    DatabaseUrl "database-url" "Password in a database URL" Shaped [];
    BasicAuthUrl "basic-auth-url" "Password in a URL" Shaped [];
    BasicAuth "basic-auth" "Basic credentials" Shaped [];
    BearerToken "bearer-token" "Bearer token" Guessed [];
    PasswordAssignment "password-assignment" "Value of a field that is named as a secret" Guessed [];
}

impl SecretKind {
    /// All kinds, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        Kind::ALL.iter().copied().map(Self)
    }

    /// The kind with this [`Self::id`].
    #[must_use]
    pub fn by_id(id: &str) -> Option<Self> {
        Self::all().find(|kind| kind.id() == id)
    }

    /// Stable name, lower case and hyphenated, such as `github-token`.
    #[must_use]
    pub const fn id(self) -> &'static str {
        self.0.row().id
    }

    /// Name for people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        self.0.row().title
    }

    /// What every secret of this kind reaches; one secret may be more certain.
    #[must_use]
    pub const fn certainty(self) -> Certainty {
        self.0.row().certainty
    }

    /// Host suffixes of the provider: its own key sent to it is no leak. Empty when nobody in
    /// particular issues the kind.
    #[must_use]
    pub const fn issuers(self) -> &'static [&'static str] {
        self.0.row().issuers
    }

    /// Whether a host (without port, any case) belongs to the provider.
    #[must_use]
    pub fn is_issued_by(self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host).as_bytes();
        self.issuers().iter().any(|issuer| {
            let Some(at) = host.len().checked_sub(issuer.len()) else { return false };
            let (above, end) = host.split_at(at);
            end.eq_ignore_ascii_case(issuer.as_bytes()) && matches!(above.last(), None | Some(b'.'))
        })
    }
}

impl fmt::Debug for SecretKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl fmt::Display for SecretKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}
