complete -c merlon-dialer -l config -d 'The instance\'s configuration; its section [egress] says where connections may go' -r -F
complete -c merlon-dialer -l link -d 'Connect to the engine\'s link socket, and again after each hang-up' -r -F
complete -c merlon-dialer -l fd -d 'An inherited descriptor, by name: `parent`' -r
complete -c merlon-dialer -l own-listener -d 'A listener of this instance, which no connection may reach; without any, those of the configuration' -r
complete -c merlon-dialer -l hosts -d 'Names that need no name server' -r -F
complete -c merlon-dialer -l resolv-conf -d 'The name servers' -r -F
complete -c merlon-dialer -s h -l help -d 'Print help (see more with \'--help\')'
complete -c merlon-dialer -s V -l version -d 'Print version'
