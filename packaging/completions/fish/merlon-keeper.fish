complete -c merlon-keeper -l dir -d 'The keeper\'s directory (keyslots, secrets.db, file.key)' -r -F
complete -c merlon-keeper -l instance -d 'An instance of the system: /var/lib/merlon-keeper/NAME and /etc/merlon/NAME.toml' -r
complete -c merlon-keeper -l config -d 'The instance\'s configuration' -r -F
complete -c merlon-keeper -l link -d 'The engine\'s link socket, to connect to' -r -F
complete -c merlon-keeper -l seal -d 'The socket of merlon-seal, to connect to' -r -F
complete -c merlon-keeper -l fd -d 'An inherited descriptor: `admin` and, under `merlond run`, `parent` and `seal`' -r
complete -c merlon-keeper -l hub -d 'Serve a hub: keep its database\'s key, sign its access tokens, and make no CA'
complete -c merlon-keeper -s h -l help -d 'Print help'
complete -c merlon-keeper -s V -l version -d 'Print version'
