module drydock.local/probe

go 1.22
