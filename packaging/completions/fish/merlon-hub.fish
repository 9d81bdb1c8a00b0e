# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_merlon_hub_global_optspecs
    string join \n h/help V/version
end

function __fish_merlon_hub_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_merlon_hub_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_merlon_hub_using_subcommand
    set -l cmd (__fish_merlon_hub_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c merlon-hub -n "__fish_merlon_hub_needs_command" -s h -l help -d 'Print help'
complete -c merlon-hub -n "__fish_merlon_hub_needs_command" -s V -l version -d 'Print version'
complete -c merlon-hub -n "__fish_merlon_hub_needs_command" -f -a "run" -d 'Run a hub in the foreground'
complete -c merlon-hub -n "__fish_merlon_hub_needs_command" -f -a "serve" -d 'Run the server alone, on descriptors that are handed to it (systemd, or `merlon-hub run`)'
complete -c merlon-hub -n "__fish_merlon_hub_needs_command" -f -a "setup-code" -d 'Print the code that makes the first account'
complete -c merlon-hub -n "__fish_merlon_hub_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c merlon-hub -n "__fish_merlon_hub_using_subcommand run" -l data-dir -d 'Directory of the hub; created if it is missing' -r -F
complete -c merlon-hub -n "__fish_merlon_hub_using_subcommand run" -l listen -d 'Where it listens, instead of `hub.listen` (port 0: any free one)' -r
complete -c merlon-hub -n "__fish_merlon_hub_using_subcommand run" -l config -d 'The hub\'s configuration' -r -F
complete -c merlon-hub -n "__fish_merlon_hub_using_subcommand run" -l issuer -d 'What clients know the hub by, instead of `hub.issuer`: https, or http on loopback' -r
complete -c merlon-hub -n "__fish_merlon_hub_using_subcommand run" -l tls-cert -d 'Certificate chain of the listeners, instead of `hub.tls_cert`' -r -F
complete -c merlon-hub -n "__fish_merlon_hub_using_subcommand run" -l tls-key -d 'Its key, instead of `hub.tls_key`' -r -F
complete -c merlon-hub -n "__fish_merlon_hub_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon-hub -n "__fish_merlon_hub_using_subcommand serve" -l store -d 'Directory of the database' -r -F
complete -c merlon-hub -n "__fish_merlon_hub_using_subcommand serve" -l config -d 'The hub\'s configuration' -r -F
complete -c merlon-hub -n "__fish_merlon_hub_using_subcommand serve" -l issuer -d 'What clients know the hub by, instead of `hub.issuer`: https, or http on loopback' -r
complete -c merlon-hub -n "__fish_merlon_hub_using_subcommand serve" -l tls-cert -d 'Certificate chain of the listeners, instead of `hub.tls_cert`' -r -F
complete -c merlon-hub -n "__fish_merlon_hub_using_subcommand serve" -l tls-key -d 'Its key, instead of `hub.tls_key`' -r -F
complete -c merlon-hub -n "__fish_merlon_hub_using_subcommand serve" -l fd -d 'An inherited descriptor, by name' -r
complete -c merlon-hub -n "__fish_merlon_hub_using_subcommand serve" -s h -l help -d 'Print help'
complete -c merlon-hub -n "__fish_merlon_hub_using_subcommand setup-code" -l data-dir -d 'Directory of the hub' -r -F
complete -c merlon-hub -n "__fish_merlon_hub_using_subcommand setup-code" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon-hub -n "__fish_merlon_hub_using_subcommand help; and not __fish_seen_subcommand_from run serve setup-code help" -f -a "run" -d 'Run a hub in the foreground'
complete -c merlon-hub -n "__fish_merlon_hub_using_subcommand help; and not __fish_seen_subcommand_from run serve setup-code help" -f -a "serve" -d 'Run the server alone, on descriptors that are handed to it (systemd, or `merlon-hub run`)'
complete -c merlon-hub -n "__fish_merlon_hub_using_subcommand help; and not __fish_seen_subcommand_from run serve setup-code help" -f -a "setup-code" -d 'Print the code that makes the first account'
complete -c merlon-hub -n "__fish_merlon_hub_using_subcommand help; and not __fish_seen_subcommand_from run serve setup-code help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
