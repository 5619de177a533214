package main

import (
	"math"

	"github.com/vmware/govmomi/vim25/types"
)

// listedOption is an option and the first release that has it.
type listedOption struct {
	def          types.OptionDef
	major, minor int
}

// advancedOptions are some of the thousand or so of a real host, of every type, with its names and ranges.
var advancedOptions = []listedOption{
	always(text("Annotations.WelcomeMessage", "Welcome message in the initial screen of the DCUI", "")),
	always(long("BufferCache.FlushInterval", "Flush at this interval (milliseconds)", 1, 3_600_000, 30_000)),
	always(long("BufferCache.SoftMaxDirty", "Flush immediately if this many (percent) buffers are dirty", 1, 100, 15)),
	always(truth("CBRC.Enable", "Enable Content Based Read Cache", false)),
	always(text("Config.Etc.issue", "Contents of /etc/issue", "")),
	always(text("Config.Etc.motd", "Contents of /etc/motd", "")),
	always(choice("Config.HostAgent.log.level", "Log level of the host agent", "info", logLevels...)),
	always(text("Config.HostAgent.plugins.hostsvc.esxAdminsGroup", "Active Directory group of administrators", "ESX Admins")),
	always(truth("Config.HostAgent.plugins.hostsvc.esxAdminsGroupAutoAdd", "Let that group administer the host", true)),
	always(integer("Config.HostAgent.plugins.hostsvc.esxAdminsGroupUpdateInterval", "Minutes between looks for it", 1, 1440, 1)),
	always(truth("Config.HostAgent.plugins.solo.enableMob", "Enable the Managed Object Browser", false)),
	since(6, 7, integer("Config.HostAgent.vmacore.soap.sessionTimeout", "Idle timeout of API sessions (minutes)", 0, math.MaxInt32, 30)),
	always(long("Cpu.UseMwait", "Use MWAIT where it is available", 0, 2, 2)),
	always(text("DCUI.Access", "Users who have DCUI access in any case", "root")),
	always(long("DataMover.HardwareAcceleratedInit", "Enable hardware accelerated VMFS data initialization", 0, 1, 1)),
	always(long("DataMover.HardwareAcceleratedMove", "Enable hardware accelerated VMFS data movement", 0, 1, 1)),
	always(long("Disk.DiskMaxIOSize", "Max disk READ/WRITE I/O size before splitting (KB)", 32, 32_767, 32_767)),
	always(long("Disk.MaxLUN", "Maximum LUN id that is scanned", 1, 16_384, 1024)),
	always(long("Disk.QFullSampleSize", "I/O samples to monitor for detecting non-transient queue full condition", 0, 64, 0)),
	always(long("Disk.QFullThreshold", "BUSY or QFULL threshold upon which the queue depth of a LUN is throttled", 1, 16, 8)),
	always(long("ISCSI.MaxIoSizeKB", "Maximum software iSCSI I/O size (KB)", 128, 512, 128)),
	always(long("LPage.LPageAlwaysTryForNPT", "Always try large page allocation when NPT is used", 0, 1, 1)),
	always(long("Mem.AllocGuestLargePage", "Enable allocation of guest large pages", 0, 1, 1)),
	since(7, 0, long("Mem.MemEagerZero", "Zero free pages eagerly", 0, 1, 0)),
	always(long("Mem.ShareForceSalting", "Salting of page sharing: 0 off, 1 where a VM has a salt, 2 each VM its own", 0, 2, 2)),
	always(long("Mem.ShareScanGHz", "Maximum megabytes per second and GHz that are scanned for sharing", 0, 32, 4)),
	always(long("Mem.ShareScanTime", "Minutes in which a whole VM is scanned for sharing", 10, 600, 60)),
	always(long("Misc.APDHandlingEnable", "Enable storage all-paths-down handling", 0, 1, 1)),
	always(long("Misc.APDTimeout", "Seconds until a device counts as lost", 20, 99_999, 140)),
	always(long("Misc.BlueScreenTimeout", "Seconds until a reboot after a purple screen, 0 is never", 0, 65_535, 0)),
	always(long("Misc.HeartbeatPanicTimeout", "Seconds without heartbeats after which the host panics", 1, 86_400, 14)),
	always(long("Misc.HeartbeatTimeout", "Seconds without heartbeats after which an NMI is sent", 1, 86_400, 14)),
	always(choice("Misc.WorldletLoadType", "Load of worldlets", "medium", "low", "medium", "high")),
	always(long("NFS.HeartbeatFrequency", "Seconds between heartbeats", 1, 5_184_000, 12)),
	always(long("NFS.HeartbeatMaxFailures", "Heartbeats in a row that may fail", 1, math.MaxInt32, 10)),
	always(long("NFS.HeartbeatTimeout", "Seconds until a heartbeat has failed", 1, 5_184_000, 5)),
	always(long("NFS.MaxQueueDepth", "Maximum queue depth of a volume", 1, math.MaxUint32, math.MaxUint32)),
	always(long("NFS.MaxVolumes", "Maximum number of mounted NFS v3 volumes", 8, 256, 8)),
	always(long("NFS41.MaxVolumes", "Maximum number of mounted NFS v4.1 volumes", 8, 256, 8)),
	always(long("Net.BlockGuestBPDU", "Block Bridge Protocol Data Units of guests", 0, 1, 0)),
	always(text("Net.DVFilterBindIpAddress", "Address to which network filters bind", "")),
	always(long("Net.FollowHardwareMac", "Follow the hardware's MAC address", 0, 1, 1)),
	always(long("Net.TcpipHeapMax", "Maximum megabytes that the tcpip heap may grow to", 32, 1536, 512)),
	always(long("Net.TcpipHeapSize", "Initial size of the tcpip heap (MB)", 0, 32, 0)),
	always(long("Numa.LocalityWeightActionAffinity", "Weight of action affinity", 0, 256, 130)),
	always(text("ScratchConfig.ConfiguredScratchLocation", "Folder for temporary files after the next start", "/tmp/scratch")),
	always(locked(text("ScratchConfig.CurrentScratchLocation", "Folder for temporary files", "/tmp/scratch"))),
	always(integer("Security.AccountLockFailures", "Failed logins before an account is locked, 0 is never", 0, 100, 5)),
	always(integer("Security.AccountUnlockTime", "Seconds that an account stays locked", 0, math.MaxInt32, 900)),
	since(7, 0, integer("Security.PasswordHistory", "Passwords that are remembered", 0, math.MaxInt32, 0)),
	since(7, 0, integer("Security.PasswordMaxDays", "Days between changes of a password", 0, 99_999, 99_999)),
	always(text("Security.PasswordQualityControl", "Rules for new passwords", "retry=3 min=disabled,disabled,disabled,7,7")),
	always(long("Syslog.global.defaultRotate", "Default number of rotated logs to keep", 1, 100, 8)),
	always(long("Syslog.global.defaultSize", "Default size of logs before rotation (KiB)", 1, 10_240, 1024)),
	always(text("Syslog.global.logDir", "Datastore path of the folder for logs", "[] /scratch/log")),
	always(truth("Syslog.global.logDirUnique", "Place logs in a subfolder of the host's own", false)),
	always(text("Syslog.global.logHost", "Remote hosts that logs are sent to", "")),
	always(long("Syslog.loggers.hostd.rotate", "Number of rotated logs to keep", 1, 100, 10)),
	always(long("Syslog.loggers.hostd.size", "Size of a log before rotation (KiB)", 1, 10_240, 10_240)),
	always(long("UserVars.DcuiTimeOut", "Seconds until an idle DCUI session is logged out", 0, 86_400, 600)),
	always(long("UserVars.ESXiShellInteractiveTimeOut", "Seconds until an idle shell session is logged out", 0, 86_400, 0)),
	always(long("UserVars.ESXiShellTimeOut", "Seconds for which a shell that was enabled stays so", 0, 86_400, 0)),
	always(text("UserVars.ESXiVPsDisabledProtocols", "Protocols of TLS that are off", "sslv3,tlsv1,tlsv1.1")),
	always(long("UserVars.HostClientCEIPOptIn", "Taking part in the improvement program: 0 ask, 1 yes, 2 no", 0, 2, 0)),
	always(long("UserVars.HostClientSessionTimeout", "Seconds until an idle Host Client session is logged out", 0, 7_200, 900)),
	always(text("UserVars.ProductLockerLocation", "Folder of VMware Tools", "/locker/packages/vmtoolsRepo/")),
	always(long("UserVars.SuppressHyperthreadWarning", "Suppress the warning about hyperthreading", 0, 1, 0)),
	always(long("UserVars.SuppressShellWarning", "Don't show the warning about enabled local and remote shells", 0, 1, 0)),
	always(long("VMFS3.HardwareAcceleratedLocking", "Enable hardware accelerated locking", 0, 1, 1)),
	always(truth("VMkernel.Boot.execInstalledOnly", "Execute installed binaries only", false)),
	always(truth("VMkernel.Boot.hyperthreading", "Enable hyperthreading", true)),
	always(truth("VMkernel.Boot.hyperthreadingMitigation", "Restrict hyperthreads because of L1TF", false)),
	always(truth("VMkernel.Boot.netNetqueueEnabled", "Enable network queues", true)),
	always(choice("Vpx.Vpxa.config.log.level", "Log level of the vCenter agent", "info", logLevels...)),
	always(locked(text("Vpx.Vpxa.config.vpxa.bundleVersion", "Version of the vCenter agent", "1000000"))),
	always(integer("Vpx.Vpxa.config.vpxa.serverPort", "Port of the vCenter for heartbeats", 1, 65_535, 902)),
	always(text("Vpx.Vpxa.config.workingDir", "Folder of the vCenter agent", "/var/log/vmware/vpx")),
}

var logLevels = []string{"none", "quiet", "panic", "error", "warning", "info", "verbose", "trivia"}

func always(def types.OptionDef) listedOption { return listedOption{def: def} }

func since(major, minor int, def types.OptionDef) listedOption {
	return listedOption{def, major, minor}
}

func described(key, summary string, kind types.BaseOptionType) types.OptionDef {
	kind.GetOptionType().ValueIsReadonly = types.NewBool(false)
	about := types.ElementDescription{Key: key, Description: types.Description{Label: key, Summary: summary}}
	return types.OptionDef{ElementDescription: about, OptionType: kind}
}

func long(key, summary string, least, most, usual int64) types.OptionDef {
	return described(key, summary, &types.LongOption{Min: least, Max: most, DefaultValue: usual})
}

func integer(key, summary string, least, most, usual int32) types.OptionDef {
	return described(key, summary, &types.IntOption{Min: least, Max: most, DefaultValue: usual})
}

func truth(key, summary string, usual bool) types.OptionDef {
	return described(key, summary, &types.BoolOption{Supported: true, DefaultValue: usual})
}

func text(key, summary, usual string) types.OptionDef {
	return described(key, summary, &types.StringOption{DefaultValue: usual})
}

func choice(key, summary, usual string, choices ...string) types.OptionDef {
	kind := new(types.ChoiceOption)
	for i, one := range choices {
		kind.ChoiceInfo = append(kind.ChoiceInfo, &types.ElementDescription{
			Key: one, Description: types.Description{Label: one, Summary: one},
		})
		if one == usual {
			kind.DefaultIndex = int32(i)
		}
	}
	return described(key, summary, kind)
}

// locked makes an option read-only.
func locked(def types.OptionDef) types.OptionDef {
	def.OptionType.GetOptionType().ValueIsReadonly = types.NewBool(true)
	return def
}
