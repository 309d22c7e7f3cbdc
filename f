Config files missing '/etc/keepalived/keepalived.conf'.
Config files missing '/etc/keepalived/keepalived.conf'.
