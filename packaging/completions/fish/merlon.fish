# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_merlon_global_optspecs
    string join \n data-dir= instance= url= hub token-file= ca-file= json color= q/quiet h/help V/version
end

function __fish_merlon_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_merlon_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_merlon_using_subcommand
    set -l cmd (__fish_merlon_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c merlon -n "__fish_merlon_needs_command" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_needs_command" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_needs_command" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_needs_command" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_needs_command" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_needs_command" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_needs_command" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_needs_command" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_needs_command" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_needs_command" -s V -l version -d 'Print version'
complete -c merlon -n "__fish_merlon_needs_command" -f -a "status" -d 'Is the instance there, open and recording?'
complete -c merlon -n "__fish_merlon_needs_command" -f -a "flows" -d 'Recorded flows: list, search, follow'
complete -c merlon -n "__fish_merlon_needs_command" -f -a "show" -d 'One flow: its facts, heads and bodies'
complete -c merlon -n "__fish_merlon_needs_command" -f -a "login" -d 'Sign in at an instance, in a browser anywhere'
complete -c merlon -n "__fish_merlon_needs_command" -f -a "logout" -d 'Sign out: the session ends at the instance and at its authorization server, and its tokens are forgotten'
complete -c merlon -n "__fish_merlon_needs_command" -f -a "whoami" -d 'Who am I at this instance, and what may I do?'
complete -c merlon -n "__fish_merlon_needs_command" -f -a "session" -d 'Sessions: who is signed in at the instance'
complete -c merlon -n "__fish_merlon_needs_command" -f -a "claim-code" -d 'The one-time code that ties a new instance to an account (on its host, as root or its owner)'
complete -c merlon -n "__fish_merlon_needs_command" -f -a "identity" -d 'The instance\'s registration at its authorization server'
complete -c merlon -n "__fish_merlon_needs_command" -f -a "ca" -d 'The certificate that clients of the proxy must trust'
complete -c merlon -n "__fish_merlon_needs_command" -f -a "project" -d 'Projects: the encrypted databases that flows are recorded into'
complete -c merlon -n "__fish_merlon_needs_command" -f -a "token" -d 'Access tokens for the API (on the instance\'s host)'
complete -c merlon -n "__fish_merlon_needs_command" -f -a "proxy-user" -d 'Users of the proxy, where it asks for a password (on the instance\'s host)'
complete -c merlon -n "__fish_merlon_needs_command" -f -a "keyslot" -d 'The ways in which the master key can be unwrapped (on the instance\'s host)'
complete -c merlon -n "__fish_merlon_needs_command" -f -a "unlock" -d 'Open a locked instance (on its host)'
complete -c merlon -n "__fish_merlon_needs_command" -f -a "audit" -d 'The audit log: what happened to the keys (on the instance\'s host)'
complete -c merlon -n "__fish_merlon_needs_command" -f -a "backup" -d 'Back the instance up into one encrypted file, while it runs (on its host)'
complete -c merlon -n "__fish_merlon_needs_command" -f -a "restore" -d 'Lay a backup out as a new instance\'s directory'
complete -c merlon -n "__fish_merlon_needs_command" -f -a "config" -d 'The configuration: what holds, where it comes from, whether a file is right'
complete -c merlon -n "__fish_merlon_needs_command" -f -a "instance" -d 'Instances: those that systemd runs on this machine, and remote ones that you name'
complete -c merlon -n "__fish_merlon_needs_command" -f -a "logs" -d 'What the services of an instance logged (on its host)'
complete -c merlon -n "__fish_merlon_needs_command" -f -a "doctor" -d 'Is everything as it should be? What is not, and what to do'
complete -c merlon -n "__fish_merlon_needs_command" -f -a "help" -d 'Help: for a command, or a topic (query, exit-codes, environment)'
complete -c merlon -n "__fish_merlon_needs_command" -f -a "completions" -d 'Print a completion script for a shell'
complete -c merlon -n "__fish_merlon_using_subcommand status" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand status" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand status" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand status" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand status" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand status" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand status" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand status" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand status" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand flows" -l limit -d 'The most flows to show [default: 100; with --follow 0]' -r
complete -c merlon -n "__fish_merlon_using_subcommand flows" -l before -d 'Only flows older than this one' -r
complete -c merlon -n "__fish_merlon_using_subcommand flows" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand flows" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand flows" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand flows" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand flows" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand flows" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand flows" -s f -l follow -d 'Then go on and show flows as they are recorded, until Ctrl-C'
complete -c merlon -n "__fish_merlon_using_subcommand flows" -l count -d 'Only say how many there are (0 is an answer: ends with 0)'
complete -c merlon -n "__fish_merlon_using_subcommand flows" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand flows" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand flows" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand flows" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand show" -l raw -d 'Head and body of one side, as they passed' -r -f -a "request\t'Client to origin'
response\t'Origin to client'"
complete -c merlon -n "__fish_merlon_using_subcommand show" -l body -d 'The body of one side, as it passed' -r -f -a "request\t'Client to origin'
response\t'Origin to client'"
complete -c merlon -n "__fish_merlon_using_subcommand show" -s o -l output -d 'Write to a new file (mode 0600, written whole or not at all) instead of standard output' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand show" -l range -d 'Only these bytes of the body, FIRST-LAST or FIRST-, counted from 0' -r
complete -c merlon -n "__fish_merlon_using_subcommand show" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand show" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand show" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand show" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand show" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand show" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand show" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand show" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand show" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand login" -l scope -d 'Only these scopes, joined by commas or spaces; all that your role gives if left out' -r
complete -c merlon -n "__fish_merlon_using_subcommand login" -l with-token-file -d 'Approve it by a personal access token of the hub in this file, instead of in a browser' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand login" -l issuer -d 'The hub that the personal access token is for; it is sent nowhere else (needed for a remote instance)' -r
complete -c merlon -n "__fish_merlon_using_subcommand login" -l issuer-ca-file -d 'PEM file with the only roots to trust for that hub, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand login" -l claim-code-file -d 'Read the claim code from this file, for an instance that nobody owns yet' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand login" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand login" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand login" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand login" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand login" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand login" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand login" -l no-browser -d 'Do not offer to open the browser'
complete -c merlon -n "__fish_merlon_using_subcommand login" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand login" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand login" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand login" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand logout" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand logout" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand logout" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand logout" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand logout" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand logout" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand logout" -l all -d 'At all instances at which you are signed in'
complete -c merlon -n "__fish_merlon_using_subcommand logout" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand logout" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand logout" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand logout" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand whoami" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand whoami" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand whoami" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand whoami" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand whoami" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand whoami" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand whoami" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand whoami" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand whoami" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand whoami" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand session; and not __fish_seen_subcommand_from list revoke" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand session; and not __fish_seen_subcommand_from list revoke" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand session; and not __fish_seen_subcommand_from list revoke" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand session; and not __fish_seen_subcommand_from list revoke" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand session; and not __fish_seen_subcommand_from list revoke" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand session; and not __fish_seen_subcommand_from list revoke" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand session; and not __fish_seen_subcommand_from list revoke" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand session; and not __fish_seen_subcommand_from list revoke" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand session; and not __fish_seen_subcommand_from list revoke" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand session; and not __fish_seen_subcommand_from list revoke" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand session; and not __fish_seen_subcommand_from list revoke" -f -a "list" -d 'Who is signed in, with what, and until when'
complete -c merlon -n "__fish_merlon_using_subcommand session; and not __fish_seen_subcommand_from list revoke" -f -a "revoke" -d 'End a session: its tokens are dead at once, here and at the authorization server'
complete -c merlon -n "__fish_merlon_using_subcommand session; and __fish_seen_subcommand_from list" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand session; and __fish_seen_subcommand_from list" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand session; and __fish_seen_subcommand_from list" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand session; and __fish_seen_subcommand_from list" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand session; and __fish_seen_subcommand_from list" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand session; and __fish_seen_subcommand_from list" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand session; and __fish_seen_subcommand_from list" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand session; and __fish_seen_subcommand_from list" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand session; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand session; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand session; and __fish_seen_subcommand_from revoke" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand session; and __fish_seen_subcommand_from revoke" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand session; and __fish_seen_subcommand_from revoke" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand session; and __fish_seen_subcommand_from revoke" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand session; and __fish_seen_subcommand_from revoke" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand session; and __fish_seen_subcommand_from revoke" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand session; and __fish_seen_subcommand_from revoke" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand session; and __fish_seen_subcommand_from revoke" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand session; and __fish_seen_subcommand_from revoke" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand session; and __fish_seen_subcommand_from revoke" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand claim-code" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand claim-code" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand claim-code" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand claim-code" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand claim-code" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand claim-code" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand claim-code" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand claim-code" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand claim-code" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand claim-code" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand identity; and not __fish_seen_subcommand_from show reset" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand identity; and not __fish_seen_subcommand_from show reset" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand identity; and not __fish_seen_subcommand_from show reset" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand identity; and not __fish_seen_subcommand_from show reset" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand identity; and not __fish_seen_subcommand_from show reset" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand identity; and not __fish_seen_subcommand_from show reset" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand identity; and not __fish_seen_subcommand_from show reset" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand identity; and not __fish_seen_subcommand_from show reset" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand identity; and not __fish_seen_subcommand_from show reset" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand identity; and not __fish_seen_subcommand_from show reset" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand identity; and not __fish_seen_subcommand_from show reset" -f -a "show" -d 'How far the instance is with its authorization server'
complete -c merlon -n "__fish_merlon_using_subcommand identity; and not __fish_seen_subcommand_from show reset" -f -a "reset" -d 'Register the instance anew; data, keys and local tokens stay'
complete -c merlon -n "__fish_merlon_using_subcommand identity; and __fish_seen_subcommand_from show" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand identity; and __fish_seen_subcommand_from show" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand identity; and __fish_seen_subcommand_from show" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand identity; and __fish_seen_subcommand_from show" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand identity; and __fish_seen_subcommand_from show" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand identity; and __fish_seen_subcommand_from show" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand identity; and __fish_seen_subcommand_from show" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand identity; and __fish_seen_subcommand_from show" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand identity; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand identity; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand identity; and __fish_seen_subcommand_from reset" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand identity; and __fish_seen_subcommand_from reset" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand identity; and __fish_seen_subcommand_from reset" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand identity; and __fish_seen_subcommand_from reset" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand identity; and __fish_seen_subcommand_from reset" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand identity; and __fish_seen_subcommand_from reset" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand identity; and __fish_seen_subcommand_from reset" -s y -l yes -d 'Do not ask'
complete -c merlon -n "__fish_merlon_using_subcommand identity; and __fish_seen_subcommand_from reset" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand identity; and __fish_seen_subcommand_from reset" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand identity; and __fish_seen_subcommand_from reset" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand identity; and __fish_seen_subcommand_from reset" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand ca; and not __fish_seen_subcommand_from show export fingerprint" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand ca; and not __fish_seen_subcommand_from show export fingerprint" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand ca; and not __fish_seen_subcommand_from show export fingerprint" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand ca; and not __fish_seen_subcommand_from show export fingerprint" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand ca; and not __fish_seen_subcommand_from show export fingerprint" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand ca; and not __fish_seen_subcommand_from show export fingerprint" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand ca; and not __fish_seen_subcommand_from show export fingerprint" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand ca; and not __fish_seen_subcommand_from show export fingerprint" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand ca; and not __fish_seen_subcommand_from show export fingerprint" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand ca; and not __fish_seen_subcommand_from show export fingerprint" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand ca; and not __fish_seen_subcommand_from show export fingerprint" -f -a "show" -d 'What the certificate says, and where its file is'
complete -c merlon -n "__fish_merlon_using_subcommand ca; and not __fish_seen_subcommand_from show export fingerprint" -f -a "export" -d 'Write the certificate in PEM, for the trust store of a client'
complete -c merlon -n "__fish_merlon_using_subcommand ca; and not __fish_seen_subcommand_from show export fingerprint" -f -a "fingerprint" -d 'The SHA-256 of the certificate, to compare by eye'
complete -c merlon -n "__fish_merlon_using_subcommand ca; and __fish_seen_subcommand_from show" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand ca; and __fish_seen_subcommand_from show" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand ca; and __fish_seen_subcommand_from show" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand ca; and __fish_seen_subcommand_from show" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand ca; and __fish_seen_subcommand_from show" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand ca; and __fish_seen_subcommand_from show" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand ca; and __fish_seen_subcommand_from show" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand ca; and __fish_seen_subcommand_from show" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand ca; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand ca; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand ca; and __fish_seen_subcommand_from export" -s o -l output -d 'Write to this file instead of standard output' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand ca; and __fish_seen_subcommand_from export" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand ca; and __fish_seen_subcommand_from export" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand ca; and __fish_seen_subcommand_from export" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand ca; and __fish_seen_subcommand_from export" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand ca; and __fish_seen_subcommand_from export" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand ca; and __fish_seen_subcommand_from export" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand ca; and __fish_seen_subcommand_from export" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand ca; and __fish_seen_subcommand_from export" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand ca; and __fish_seen_subcommand_from export" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand ca; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand ca; and __fish_seen_subcommand_from fingerprint" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand ca; and __fish_seen_subcommand_from fingerprint" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand ca; and __fish_seen_subcommand_from fingerprint" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand ca; and __fish_seen_subcommand_from fingerprint" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand ca; and __fish_seen_subcommand_from fingerprint" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand ca; and __fish_seen_subcommand_from fingerprint" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand ca; and __fish_seen_subcommand_from fingerprint" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand ca; and __fish_seen_subcommand_from fingerprint" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand ca; and __fish_seen_subcommand_from fingerprint" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand ca; and __fish_seen_subcommand_from fingerprint" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand project; and not __fish_seen_subcommand_from list create open delete" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand project; and not __fish_seen_subcommand_from list create open delete" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand project; and not __fish_seen_subcommand_from list create open delete" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand project; and not __fish_seen_subcommand_from list create open delete" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand project; and not __fish_seen_subcommand_from list create open delete" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand project; and not __fish_seen_subcommand_from list create open delete" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand project; and not __fish_seen_subcommand_from list create open delete" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand project; and not __fish_seen_subcommand_from list create open delete" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand project; and not __fish_seen_subcommand_from list create open delete" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand project; and not __fish_seen_subcommand_from list create open delete" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand project; and not __fish_seen_subcommand_from list create open delete" -f -a "list" -d 'All projects; the open one is marked'
complete -c merlon -n "__fish_merlon_using_subcommand project; and not __fish_seen_subcommand_from list create open delete" -f -a "create" -d 'Make a new, empty project and say its id'
complete -c merlon -n "__fish_merlon_using_subcommand project; and not __fish_seen_subcommand_from list create open delete" -f -a "open" -d 'Record into another project from now on'
complete -c merlon -n "__fish_merlon_using_subcommand project; and not __fish_seen_subcommand_from list create open delete" -f -a "delete" -d 'Delete a project for good: its file and its key'
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from list" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from list" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from list" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from list" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from list" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from list" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from list" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from list" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from create" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from create" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from create" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from create" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from create" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from create" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from create" -l open -d 'Record into it at once'
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from create" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from create" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from create" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from open" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from open" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from open" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from open" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from open" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from open" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from open" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from open" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from open" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from open" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from delete" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from delete" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from delete" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from delete" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from delete" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from delete" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from delete" -s y -l yes -d 'Do not ask'
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from delete" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from delete" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from delete" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand project; and __fish_seen_subcommand_from delete" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand token; and not __fish_seen_subcommand_from create list revoke" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand token; and not __fish_seen_subcommand_from create list revoke" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand token; and not __fish_seen_subcommand_from create list revoke" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand token; and not __fish_seen_subcommand_from create list revoke" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand token; and not __fish_seen_subcommand_from create list revoke" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand token; and not __fish_seen_subcommand_from create list revoke" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand token; and not __fish_seen_subcommand_from create list revoke" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand token; and not __fish_seen_subcommand_from create list revoke" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand token; and not __fish_seen_subcommand_from create list revoke" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand token; and not __fish_seen_subcommand_from create list revoke" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand token; and not __fish_seen_subcommand_from create list revoke" -f -a "create" -d 'Make a token; it is shown once'
complete -c merlon -n "__fish_merlon_using_subcommand token; and not __fish_seen_subcommand_from create list revoke" -f -a "list" -d 'All tokens, without their values'
complete -c merlon -n "__fish_merlon_using_subcommand token; and not __fish_seen_subcommand_from create list revoke" -f -a "revoke" -d 'Revoke a token at once'
complete -c merlon -n "__fish_merlon_using_subcommand token; and __fish_seen_subcommand_from create" -l role -d 'What the token may do' -r -f -a "viewer\t'Reads flows and status'
operator\t'Everything but secrets and the instance itself'
owner\t'Everything'"
complete -c merlon -n "__fish_merlon_using_subcommand token; and __fish_seen_subcommand_from create" -l label -d 'A name to know it by; the role if left out' -r
complete -c merlon -n "__fish_merlon_using_subcommand token; and __fish_seen_subcommand_from create" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand token; and __fish_seen_subcommand_from create" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand token; and __fish_seen_subcommand_from create" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand token; and __fish_seen_subcommand_from create" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand token; and __fish_seen_subcommand_from create" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand token; and __fish_seen_subcommand_from create" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand token; and __fish_seen_subcommand_from create" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand token; and __fish_seen_subcommand_from create" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand token; and __fish_seen_subcommand_from create" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand token; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand token; and __fish_seen_subcommand_from list" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand token; and __fish_seen_subcommand_from list" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand token; and __fish_seen_subcommand_from list" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand token; and __fish_seen_subcommand_from list" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand token; and __fish_seen_subcommand_from list" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand token; and __fish_seen_subcommand_from list" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand token; and __fish_seen_subcommand_from list" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand token; and __fish_seen_subcommand_from list" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand token; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand token; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand token; and __fish_seen_subcommand_from revoke" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand token; and __fish_seen_subcommand_from revoke" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand token; and __fish_seen_subcommand_from revoke" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand token; and __fish_seen_subcommand_from revoke" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand token; and __fish_seen_subcommand_from revoke" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand token; and __fish_seen_subcommand_from revoke" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand token; and __fish_seen_subcommand_from revoke" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand token; and __fish_seen_subcommand_from revoke" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand token; and __fish_seen_subcommand_from revoke" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand token; and __fish_seen_subcommand_from revoke" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and not __fish_seen_subcommand_from add list remove" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and not __fish_seen_subcommand_from add list remove" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and not __fish_seen_subcommand_from add list remove" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and not __fish_seen_subcommand_from add list remove" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and not __fish_seen_subcommand_from add list remove" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and not __fish_seen_subcommand_from add list remove" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and not __fish_seen_subcommand_from add list remove" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and not __fish_seen_subcommand_from add list remove" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and not __fish_seen_subcommand_from add list remove" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and not __fish_seen_subcommand_from add list remove" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and not __fish_seen_subcommand_from add list remove" -f -a "add" -d 'Make a user; the password is generated and shown once'
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and not __fish_seen_subcommand_from add list remove" -f -a "list" -d 'The names of all users'
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and not __fish_seen_subcommand_from add list remove" -f -a "remove" -d 'Remove a user'
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and __fish_seen_subcommand_from add" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and __fish_seen_subcommand_from add" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and __fish_seen_subcommand_from add" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and __fish_seen_subcommand_from add" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and __fish_seen_subcommand_from add" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and __fish_seen_subcommand_from add" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and __fish_seen_subcommand_from add" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and __fish_seen_subcommand_from add" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and __fish_seen_subcommand_from add" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and __fish_seen_subcommand_from list" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and __fish_seen_subcommand_from list" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and __fish_seen_subcommand_from list" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and __fish_seen_subcommand_from list" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and __fish_seen_subcommand_from list" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and __fish_seen_subcommand_from list" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and __fish_seen_subcommand_from list" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and __fish_seen_subcommand_from list" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and __fish_seen_subcommand_from remove" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and __fish_seen_subcommand_from remove" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and __fish_seen_subcommand_from remove" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and __fish_seen_subcommand_from remove" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and __fish_seen_subcommand_from remove" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and __fish_seen_subcommand_from remove" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and __fish_seen_subcommand_from remove" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and __fish_seen_subcommand_from remove" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and __fish_seen_subcommand_from remove" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand proxy-user; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and not __fish_seen_subcommand_from list add remove test reseal policy authorize rotate counter confirm" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and not __fish_seen_subcommand_from list add remove test reseal policy authorize rotate counter confirm" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and not __fish_seen_subcommand_from list add remove test reseal policy authorize rotate counter confirm" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and not __fish_seen_subcommand_from list add remove test reseal policy authorize rotate counter confirm" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and not __fish_seen_subcommand_from list add remove test reseal policy authorize rotate counter confirm" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and not __fish_seen_subcommand_from list add remove test reseal policy authorize rotate counter confirm" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and not __fish_seen_subcommand_from list add remove test reseal policy authorize rotate counter confirm" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and not __fish_seen_subcommand_from list add remove test reseal policy authorize rotate counter confirm" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and not __fish_seen_subcommand_from list add remove test reseal policy authorize rotate counter confirm" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and not __fish_seen_subcommand_from list add remove test reseal policy authorize rotate counter confirm" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and not __fish_seen_subcommand_from list add remove test reseal policy authorize rotate counter confirm" -f -a "list" -d 'All keyslots'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and not __fish_seen_subcommand_from list add remove test reseal policy authorize rotate counter confirm" -f -a "add" -d 'Add a way to open the instance'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and not __fish_seen_subcommand_from list add remove test reseal policy authorize rotate counter confirm" -f -a "remove" -d 'Remove a keyslot'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and not __fish_seen_subcommand_from list add remove test reseal policy authorize rotate counter confirm" -f -a "test" -d 'Does a keyslot still open? Changes nothing'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and not __fish_seen_subcommand_from list add remove test reseal policy authorize rotate counter confirm" -f -a "reseal" -d 'Seal a tpm2 slot anew, to the machine as it is now; needs no secret'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and not __fish_seen_subcommand_from list add remove test reseal policy authorize rotate counter confirm" -f -a "policy" -d 'What a policy key has to sign for a slot, for the machine as it is now'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and not __fish_seen_subcommand_from list add remove test reseal policy authorize rotate counter confirm" -f -a "authorize" -d 'Keep a signature over a policy, by which the slot opens without being sealed anew'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and not __fish_seen_subcommand_from list add remove test reseal policy authorize rotate counter confirm" -f -a "rotate" -d 'Replace the master key, all slots and the keys of all projects'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and not __fish_seen_subcommand_from list add remove test reseal policy authorize rotate counter confirm" -f -a "counter" -d 'The rollback counter in the TPM'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and not __fish_seen_subcommand_from list add remove test reseal policy authorize rotate counter confirm" -f -a "confirm" -d 'Type the recovery key back, to prove that it was kept'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from list" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from list" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from list" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from list" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from list" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from list" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from list" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from list" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from add" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from add" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from add" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from add" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from add" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from add" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from add" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from add" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from add" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from add" -f -a "file" -d 'A random key in a file beside the keyslots, readable by the keeper only'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from add" -f -a "passphrase" -d 'A passphrase, hardened by Argon2id'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from add" -f -a "recovery" -d 'A recovery key: 256 random bits, printed once, to be kept away from this host'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from add" -f -a "tpm2" -d 'Sealed to this machine\'s TPM 2.0'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from add" -f -a "pkcs11" -d 'Encrypted by a key in a PKCS#11 token (a hardware security module)'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from add" -f -a "credential" -d 'The credential `merlon-key`, which systemd decrypts and passes at each start'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from remove" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from remove" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from remove" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from remove" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from remove" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from remove" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from remove" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from remove" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from remove" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from test" -l passphrase-file -d 'Read the passphrase from this file' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from test" -l recovery-file -d 'Read the recovery key from this file' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from test" -l pin-file -d 'Read the PIN from this file' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from test" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from test" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from test" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from test" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from test" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from test" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from test" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from test" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from test" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from test" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from reseal" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from reseal" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from reseal" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from reseal" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from reseal" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from reseal" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from reseal" -l next-boot-once -d 'Make one more slot instead, without PCRs, that opens the next start and is removed by it'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from reseal" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from reseal" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from reseal" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from reseal" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from policy" -l out -d 'Write the digest\'s 32 bytes into this file too, to be signed' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from policy" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from policy" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from policy" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from policy" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from policy" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from policy" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from policy" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from policy" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from policy" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from policy" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from authorize" -l signature-file -d 'The signature: ECDSA with SHA-256 in DER, as `openssl dgst -sha256 -sign` writes it' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from authorize" -l policy-file -d 'The digest that was signed, as `merlon keyslot policy --out` wrote it; the machine\'s present one if left out' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from authorize" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from authorize" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from authorize" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from authorize" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from authorize" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from authorize" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from authorize" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from authorize" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from authorize" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from authorize" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from rotate" -l passphrase-file -d 'Read the passphrase of the slot to be kept from this file (one line end at its end does not count)' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from rotate" -l confirm-file -d 'Read the new recovery key back from this file once it was printed, instead of from the terminal' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from rotate" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from rotate" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from rotate" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from rotate" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from rotate" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from rotate" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from rotate" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from rotate" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from rotate" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from rotate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from counter" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from counter" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from counter" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from counter" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from counter" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from counter" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from counter" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from counter" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from counter" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from counter" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from counter" -f -a "reset" -d 'Make a new counter in place of one that is lost or was cleared'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from confirm" -l recovery-file -d 'Read the recovery key from this file; asks if left out' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from confirm" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from confirm" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from confirm" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from confirm" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from confirm" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from confirm" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from confirm" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from confirm" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from confirm" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand keyslot; and __fish_seen_subcommand_from confirm" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand unlock" -l passphrase-file -d 'Read the passphrase from this file' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand unlock" -l recovery-file -d 'Read the recovery key from this file' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand unlock" -l pin-file -d 'Read the PIN of a tpm2 or pkcs11 slot from this file' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand unlock" -l accept-rollback -d 'Open although this is an old copy (secrets.db, keyslots), or cannot be read (counter); for this time only' -r -f -a "secrets.db\t''
keyslots\t''
counter\t''"
complete -c merlon -n "__fish_merlon_using_subcommand unlock" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand unlock" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand unlock" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand unlock" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand unlock" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand unlock" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand unlock" -l passphrase -d 'Ask for the passphrase'
complete -c merlon -n "__fish_merlon_using_subcommand unlock" -l recovery -d 'Ask for the recovery key'
complete -c merlon -n "__fish_merlon_using_subcommand unlock" -l pin -d 'Ask for the PIN'
complete -c merlon -n "__fish_merlon_using_subcommand unlock" -l machine -d 'Try all slots once more that need nobody'
complete -c merlon -n "__fish_merlon_using_subcommand unlock" -l force -d 'Try the PIN even if one more failure would lock the TPM or the token'
complete -c merlon -n "__fish_merlon_using_subcommand unlock" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand unlock" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand unlock" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand unlock" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand audit; and not __fish_seen_subcommand_from list verify" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand audit; and not __fish_seen_subcommand_from list verify" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand audit; and not __fish_seen_subcommand_from list verify" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand audit; and not __fish_seen_subcommand_from list verify" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand audit; and not __fish_seen_subcommand_from list verify" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand audit; and not __fish_seen_subcommand_from list verify" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand audit; and not __fish_seen_subcommand_from list verify" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand audit; and not __fish_seen_subcommand_from list verify" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand audit; and not __fish_seen_subcommand_from list verify" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand audit; and not __fish_seen_subcommand_from list verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand audit; and not __fish_seen_subcommand_from list verify" -f -a "list" -d 'Entries, newest first'
complete -c merlon -n "__fish_merlon_using_subcommand audit; and not __fish_seen_subcommand_from list verify" -f -a "verify" -d 'Is the log whole? Ends with 1, and names the place, if an entry was changed, moved, left out or cut off'
complete -c merlon -n "__fish_merlon_using_subcommand audit; and __fish_seen_subcommand_from list" -l limit -d 'At most so many entries' -r
complete -c merlon -n "__fish_merlon_using_subcommand audit; and __fish_seen_subcommand_from list" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand audit; and __fish_seen_subcommand_from list" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand audit; and __fish_seen_subcommand_from list" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand audit; and __fish_seen_subcommand_from list" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand audit; and __fish_seen_subcommand_from list" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand audit; and __fish_seen_subcommand_from list" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand audit; and __fish_seen_subcommand_from list" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand audit; and __fish_seen_subcommand_from list" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand audit; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand audit; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand audit; and __fish_seen_subcommand_from verify" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand audit; and __fish_seen_subcommand_from verify" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand audit; and __fish_seen_subcommand_from verify" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand audit; and __fish_seen_subcommand_from verify" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand audit; and __fish_seen_subcommand_from verify" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand audit; and __fish_seen_subcommand_from verify" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand audit; and __fish_seen_subcommand_from verify" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand audit; and __fish_seen_subcommand_from verify" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand audit; and __fish_seen_subcommand_from verify" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand audit; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand backup" -l passphrase-file -d 'Let the passphrase in this file open the backup, too (8 to 1024 bytes; one line end does not count)' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand backup" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand backup" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand backup" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand backup" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand backup" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand backup" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand backup" -l force -d 'Replace the file if there is one, once the new one is whole'
complete -c merlon -n "__fish_merlon_using_subcommand backup" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand backup" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand backup" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand backup" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand restore" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand restore" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand restore" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand restore" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand restore" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand restore" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand restore" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand restore" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand restore" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand restore" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand config; and not __fish_seen_subcommand_from show check path" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand config; and not __fish_seen_subcommand_from show check path" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand config; and not __fish_seen_subcommand_from show check path" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand config; and not __fish_seen_subcommand_from show check path" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand config; and not __fish_seen_subcommand_from show check path" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand config; and not __fish_seen_subcommand_from show check path" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand config; and not __fish_seen_subcommand_from show check path" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand config; and not __fish_seen_subcommand_from show check path" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand config; and not __fish_seen_subcommand_from show check path" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand config; and not __fish_seen_subcommand_from show check path" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand config; and not __fish_seen_subcommand_from show check path" -f -a "show" -d 'The settings of the instance as they result from all layers'
complete -c merlon -n "__fish_merlon_using_subcommand config; and not __fish_seen_subcommand_from show check path" -f -a "check" -d 'Is this file a right configuration? Reads nothing else and changes nothing'
complete -c merlon -n "__fish_merlon_using_subcommand config; and not __fish_seen_subcommand_from show check path" -f -a "path" -d 'Where the instance\'s configuration file is'
complete -c merlon -n "__fish_merlon_using_subcommand config; and __fish_seen_subcommand_from show" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand config; and __fish_seen_subcommand_from show" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand config; and __fish_seen_subcommand_from show" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand config; and __fish_seen_subcommand_from show" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand config; and __fish_seen_subcommand_from show" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand config; and __fish_seen_subcommand_from show" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand config; and __fish_seen_subcommand_from show" -l origin -d 'Say which layer each value came from'
complete -c merlon -n "__fish_merlon_using_subcommand config; and __fish_seen_subcommand_from show" -l changed -d 'Only the settings that do not stand at their default'
complete -c merlon -n "__fish_merlon_using_subcommand config; and __fish_seen_subcommand_from show" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand config; and __fish_seen_subcommand_from show" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand config; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand config; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand config; and __fish_seen_subcommand_from check" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand config; and __fish_seen_subcommand_from check" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand config; and __fish_seen_subcommand_from check" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand config; and __fish_seen_subcommand_from check" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand config; and __fish_seen_subcommand_from check" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand config; and __fish_seen_subcommand_from check" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand config; and __fish_seen_subcommand_from check" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand config; and __fish_seen_subcommand_from check" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand config; and __fish_seen_subcommand_from check" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand config; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand config; and __fish_seen_subcommand_from path" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand config; and __fish_seen_subcommand_from path" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand config; and __fish_seen_subcommand_from path" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand config; and __fish_seen_subcommand_from path" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand config; and __fish_seen_subcommand_from path" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand config; and __fish_seen_subcommand_from path" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand config; and __fish_seen_subcommand_from path" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand config; and __fish_seen_subcommand_from path" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand config; and __fish_seen_subcommand_from path" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand config; and __fish_seen_subcommand_from path" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand instance; and not __fish_seen_subcommand_from create add use list remove" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand instance; and not __fish_seen_subcommand_from create add use list remove" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand instance; and not __fish_seen_subcommand_from create add use list remove" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand instance; and not __fish_seen_subcommand_from create add use list remove" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand instance; and not __fish_seen_subcommand_from create add use list remove" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand instance; and not __fish_seen_subcommand_from create add use list remove" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand instance; and not __fish_seen_subcommand_from create add use list remove" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand instance; and not __fish_seen_subcommand_from create add use list remove" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand instance; and not __fish_seen_subcommand_from create add use list remove" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand instance; and not __fish_seen_subcommand_from create add use list remove" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand instance; and not __fish_seen_subcommand_from create add use list remove" -f -a "create" -d 'Make a new instance: its configuration with free ports, and its users (as root)'
complete -c merlon -n "__fish_merlon_using_subcommand instance; and not __fish_seen_subcommand_from create add use list remove" -f -a "add" -d 'Give a remote instance a name'
complete -c merlon -n "__fish_merlon_using_subcommand instance; and not __fish_seen_subcommand_from create add use list remove" -f -a "use" -d 'Mean this instance wherever none is named: a remote or a local one'
complete -c merlon -n "__fish_merlon_using_subcommand instance; and not __fish_seen_subcommand_from create add use list remove" -f -a "list" -d 'The instances that you can name, and how they are; the one in use is marked'
complete -c merlon -n "__fish_merlon_using_subcommand instance; and not __fish_seen_subcommand_from create add use list remove" -f -a "remove" -d 'Forget a remote instance; or remove a stopped one of this machine for good (as root)'
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from create" -l proxy-listen -d 'Where the proxy listens; a free port on 127.0.0.1 if left out' -r
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from create" -l api-listen -d 'Where the API listens, besides its Unix socket; a free port on 127.0.0.1 if left out' -r
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from create" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from create" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from create" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from create" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from create" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from create" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from create" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from create" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from create" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from add" -l pin -d 'Trust only this certificate, or what it has signed: its SHA-256, as `merlon ca fingerprint` prints it on the host' -r
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from add" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from add" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from add" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from add" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from add" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from add" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from add" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from add" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from add" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from use" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from use" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from use" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from use" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from use" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from use" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from use" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from use" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from use" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from use" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from list" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from list" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from list" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from list" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from list" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from list" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from list" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from list" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from remove" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from remove" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from remove" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from remove" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from remove" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from remove" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from remove" -l keep-data -d 'Leave its keys and what it recorded; `merlon instance create` with the same name takes them over'
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from remove" -s y -l yes -d 'Do not ask'
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from remove" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from remove" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from remove" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand instance; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand logs" -s n -l lines -d 'The last N entries; without --since 100, with --follow 10' -r
complete -c merlon -n "__fish_merlon_using_subcommand logs" -l since -d 'From this time on (UTC): 2026-01-31, \'2026-01-31 23:59\', or ago: 30s, 15m, 2h, 7d' -r
complete -c merlon -n "__fish_merlon_using_subcommand logs" -l process -d 'Only of this process' -r -f -a "engine\t'Proxy, store and API'
keeper\t'Keys'
dialer\t'Outbound connections'
seal\t'TPM and PKCS#11'"
complete -c merlon -n "__fish_merlon_using_subcommand logs" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand logs" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand logs" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand logs" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand logs" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand logs" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand logs" -s f -l follow -d 'Go on with what comes, until Ctrl-C'
complete -c merlon -n "__fish_merlon_using_subcommand logs" -l events -d 'Only security events: keys, tokens, refusals, the sandbox'
complete -c merlon -n "__fish_merlon_using_subcommand logs" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand logs" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand logs" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand logs" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand doctor" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand doctor" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand doctor" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand doctor" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand doctor" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand doctor" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand doctor" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand doctor" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand doctor" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand help" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand help" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand help" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand help" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand help" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand help" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand help" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand help" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand help" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon -n "__fish_merlon_using_subcommand completions" -l data-dir -d 'The instance in this directory, as given to `merlond run --data-dir`' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand completions" -l instance -d 'The instance with this name: one of `merlon instance add`, the system\'s, or else the user\'s own' -r
complete -c merlon -n "__fish_merlon_using_subcommand completions" -l url -d 'A remote instance: the https:// address of its API' -r
complete -c merlon -n "__fish_merlon_using_subcommand completions" -l token-file -d 'File with an access token for a remote instance (made by `merlon token create`), instead of signing in' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand completions" -l ca-file -d 'PEM file with the only roots to trust for a remote instance, instead of the system\'s' -r -F
complete -c merlon -n "__fish_merlon_using_subcommand completions" -l color -d 'Colours: auto (on a terminal, minding NO_COLOR and CLICOLOR_FORCE), always or never' -r -f -a "auto\t'Where a terminal can show them'
always\t'Always'
never\t'Never'"
complete -c merlon -n "__fish_merlon_using_subcommand completions" -l hub -d 'The hub of this system instead of an instance: its keeper (status, keyslot, unlock, audit)'
complete -c merlon -n "__fish_merlon_using_subcommand completions" -l json -d 'One JSON value a line instead of text for people'
complete -c merlon -n "__fish_merlon_using_subcommand completions" -s q -l quiet -d 'Only data, warnings and errors'
complete -c merlon -n "__fish_merlon_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
