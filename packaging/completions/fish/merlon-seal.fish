complete -c merlon-seal -l config -d 'The instance\'s configuration; without one the defaults stand' -r -F
complete -c merlon-seal -l fd -d 'An inherited descriptor: `seal`, a connection, or a socket that listens for one' -r
complete -c merlon-seal -s h -l help -d 'Print help'
complete -c merlon-seal -s V -l version -d 'Print version'
