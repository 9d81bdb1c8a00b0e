# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_merlond_global_optspecs
    string join \n h/help V/version
end

function __fish_merlond_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_merlond_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_merlond_using_subcommand
    set -l cmd (__fish_merlond_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c merlond -n "__fish_merlond_needs_command" -s h -l help -d 'Print help'
complete -c merlond -n "__fish_merlond_needs_command" -s V -l version -d 'Print version'
complete -c merlond -n "__fish_merlond_needs_command" -f -a "run" -d 'Run a whole instance in the foreground'
complete -c merlond -n "__fish_merlond_needs_command" -f -a "engine" -d 'Run the engine alone, on descriptors that are handed to it (systemd, or `merlond run`)'
complete -c merlond -n "__fish_merlond_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c merlond -n "__fish_merlond_using_subcommand run" -l data-dir -d 'Directory of the instance; created if it is missing' -r -F
complete -c merlond -n "__fish_merlond_using_subcommand run" -l config -d 'The instance\'s configuration' -r -F
complete -c merlond -n "__fish_merlond_using_subcommand run" -l proxy-listen -d 'Where the proxy listens, instead of `proxy.listen` (port 0: any free one)' -r
complete -c merlond -n "__fish_merlond_using_subcommand run" -l api-listen -d 'Where the API listens, instead of `api.listen` (port 0: any free one)' -r
complete -c merlond -n "__fish_merlond_using_subcommand run" -l allow-public-proxy -d 'Permit proxy listeners that are not loopback; proxy authentication is then on'
complete -c merlond -n "__fish_merlond_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlond -n "__fish_merlond_using_subcommand engine" -l store -d 'Directory of the projects' -r -F
complete -c merlond -n "__fish_merlond_using_subcommand engine" -l config -d 'The instance\'s configuration' -r -F
complete -c merlond -n "__fish_merlond_using_subcommand engine" -l fd -d 'An inherited descriptor, by name' -r
complete -c merlond -n "__fish_merlond_using_subcommand engine" -l allow-public-proxy -d 'Permit proxy listeners that are not loopback; proxy authentication is then on'
complete -c merlond -n "__fish_merlond_using_subcommand engine" -s h -l help -d 'Print help'
complete -c merlond -n "__fish_merlond_using_subcommand help; and not __fish_seen_subcommand_from run engine help" -f -a "run" -d 'Run a whole instance in the foreground'
complete -c merlond -n "__fish_merlond_using_subcommand help; and not __fish_seen_subcommand_from run engine help" -f -a "engine" -d 'Run the engine alone, on descriptors that are handed to it (systemd, or `merlond run`)'
complete -c merlond -n "__fish_merlond_using_subcommand help; and not __fish_seen_subcommand_from run engine help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
