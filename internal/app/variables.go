package app

// Variable is one setting of the environment.
type Variable struct {
	Name    string
	Default string // as the manual shows it
	What    string
	Secret  bool // may also be given as NAME_FILE, never printed
}

// Variables lists every setting the program reads, in the order of the manual.
func Variables() []Variable {
	return []Variable{
		{Name: "DATELINE_DATA", Default: "./data", What: "data folder: database, NATS store, keys, nats.url"},
		{Name: "DATELINE_LISTEN", Default: ":8080", What: "public pages and API"},
		{Name: "DATELINE_OPS_LISTEN", Default: "127.0.0.1:9464", What: "/metrics and /debug/pprof"},
		{Name: "DATELINE_BASE_URL", Default: "from the listener", What: "the address readers see; links in mails and notifications begin with it"},
		{Name: "DATABASE_URL", Default: "SQLite in the data folder", What: "postgres://… for Postgres; keys must then come from the environment", Secret: true},
		{Name: "NATS_URL", Default: "embedded", What: "nats://… of a JetStream server or cluster", Secret: true},
		{Name: "SMTP_URL", Default: "an outbox inside the program", What: "smtp(s)://user:pass@host:port", Secret: true},
		{Name: "DATELINE_POLICY", Default: "one (notices: auto)", What: "auto, one or two, or by level: flash=two,bulletin=one,notice=auto; the first value, afterwards the desk's"},
		{Name: "DATELINE_NEWSROOM_CAPS", Default: "none", What: "alerts of a level the newsroom releases in an hour and a day, such as flash=3/8,bulletin=6/20; more needs a chief; the first value, afterwards the desk's"},
		{Name: "DATELINE_HOLD", Default: "10s", What: "how long a release can be undone before the first send; a flash waits twice as long"},
		{Name: "DATELINE_CANARY", Default: "on", What: "on or off; on: the first 1 % of an alert (at most 200 devices) go first, and more than 5 % failures pause it"},
		{Name: "DATELINE_TRACKING", Default: "on", What: "on or off; off: no device is asked whether it showed or opened an alert"},
		{Name: "DATELINE_VAPID_SUBJECT", Default: "an https base URL, else none", What: "who push services may write to: mailto:… or https://…; without one Apple's service is off"},
		{Name: "DATELINE_VAPID_KEY", Default: "generated", What: "P-256 private scalar, base64url without padding", Secret: true},
		{Name: "DATELINE_LINK_KEY", Default: "generated", What: "32 bytes, base64url: links, topics, receipts", Secret: true},
		{Name: "DATELINE_SEAL_KEY", Default: "generated", What: "32 bytes, base64url: data at rest", Secret: true},
		{Name: "DATELINE_ADMIN_KEY", Default: "generated", What: "bearer key with every scope, 16 characters or more", Secret: true},
		{Name: "DATELINE_PUSH_ORIGINS", Default: "none", What: "further push services, comma-separated exact origins; only these may be on private addresses"},
		{Name: "DATELINE_PUSH_CA", Default: "none", What: "PEM file of certificate authorities for push services, beside the system's"},
		{Name: "DATELINE_STORY_HOSTS", Default: "any https host", What: "hosts that story links may be on, comma-separated"},
		{Name: "DATELINE_MAX_STORY_AGE", Default: "6h", What: "older stories raise and send nothing by themselves"},
		{Name: "DATELINE_SIGNUP_LIMIT", Default: "1000", What: "new subscriptions per client address (IPv6: /64) and hour; 0 for none"},
		{Name: "DATELINE_EMBED_ORIGINS", Default: "none", What: "exact origins, comma-separated, whose pages may sign readers up with embed.js"},
		{Name: "DATELINE_TRUSTED_PROXIES", Default: "none", What: "addresses or networks whose X-Forwarded-For is believed"},
		{Name: "DATELINE_DESK_LISTEN", Default: "none", What: "a listener of its own for the editors' doors"},
		{Name: "DATELINE_DESK_URL", Default: "from DATELINE_DESK_LISTEN", What: "the address editors' browsers have for that listener: its invitations begin with it, passkeys are bound to it"},
		{Name: "DATELINE_OIDC_ISSUER", Default: "none", What: "an OpenID provider that editors may sign in through: https://…"},
		{Name: "DATELINE_OIDC_CLIENT_ID", Default: "none", What: "our name at that provider"},
		{Name: "DATELINE_OIDC_CLIENT_SECRET", Default: "none", What: "our secret at that provider", Secret: true},
		{Name: "DATELINE_ROLES", Default: "all", What: "site, desk, intake, dispatch, digest: what this process does (needs Postgres)"},
		{Name: "DATELINE_MAIL_FROM", Default: "news@dateline.example", What: "sender of mails: Name <address>"},
		{Name: "DATELINE_DKIM_KEY", Default: "none", What: "PKCS 8 PEM; signs for the domain of DATELINE_MAIL_FROM", Secret: true},
		{Name: "DATELINE_DKIM_SELECTOR", Default: "dateline", What: "DKIM selector"},
		{Name: "DATELINE_MAIL_WARMUP", Default: "off", What: "on or off; on: a new sender writes to each mailbox provider a little on the first day, and twice as much on each further one"},
		{Name: "DATELINE_BOUNCE_LISTEN", Default: "none", What: "a listener for mail that comes back (SMTP): bounces, complaints, leaves by mail"},
		{Name: "DATELINE_BOUNCE_ADDRESS", Default: "the address of DATELINE_MAIL_FROM", What: "what mail comes back to: each reader's is this with +TOKEN before the @"},
		{Name: "DATELINE_MAIL_TRACKING", Default: "off", What: "on or off; on: how often an edition's links and its picture are asked for is counted, of all readers together"},
		{Name: "DATELINE_PUBLISHER_NAME", Default: "Dateline", What: "imprint: name"},
		{Name: "DATELINE_PUBLISHER_ID", Default: "none", What: "imprint: company id"},
		{Name: "DATELINE_PUBLISHER_ADDRESS", Default: "none", What: "imprint: postal address, one line or lines split by |"},
		{Name: "DATELINE_LOG", Default: "info", What: "debug, info, warn or error"},
	}
}
