package main

// methodPrivileges are the methods that each privilege is needed for, as the vSphere API reference lists them
// (read from the descriptions that pyVmomi 9 carries). Methods that are not here need System.View; of what depends on
// the object or on what is to be done, see neededFor.
var methodPrivileges = map[string]string{
	"Alarm.Acknowledge":                     "AcknowledgeAlarm",
	"Alarm.Create":                          "CreateAlarm",
	"Alarm.Delete":                          "RemoveAlarm",
	"Alarm.DisableActions":                  "EnableAlarmActions",
	"Alarm.Edit":                            "ReconfigureAlarm",
	"Alarm.SetStatus":                       "ClearTriggeredAlarms",
	"Authorization.ModifyPermissions":       "RemoveEntityPermission ResetEntityPermissions SetEntityPermissions",
	"Authorization.ModifyRoles":             "AddAuthorizationRole RemoveAuthorizationRole UpdateAuthorizationRole",
	"Authorization.ReassignRolePermissions": "MergePermissions",
	"Certificate.Manage": "" +
		"CertMgrRefreshCACertificatesAndCRLs_Task CertMgrRefreshCertificates_Task CertMgrRevokeCertificates_Task " +
		"GenerateCertificateSigningRequest GenerateCertificateSigningRequestByDn InstallServerCertificate " +
		"ListCACertificateRevocationLists ListCACertificates NotifyAffectedServices ProvisionServerPrivateKey " +
		"ReplaceCACertificatesAndCRLs RetrieveCertificateInfoList",
	"Cns.Searchable": "CnsQueryAsync CnsQueryVolume",
	"Cryptographer.ManageKeyServers": "" +
		"GenerateClientCsr GenerateSelfSignedClientCert GetDefaultKmsCluster IsKmsClusterActive ListKmipServers " +
		"ListKmsClusters MarkDefault RegisterKmipServer RegisterKmsCluster RemoveKmipServer RetrieveClientCert " +
		"RetrieveClientCsr RetrieveKmipServerCert RetrieveKmipServersStatus_Task RetrieveSelfSignedClientCert " +
		"SetDefaultKmsCluster UnregisterKmsCluster UpdateKmipServer UpdateKmsSignedCsrClientCert " +
		"UpdateSelfSignedClientCert UploadClientCert UploadKmipServerCert",
	"Cryptographer.ManageKeys": "" +
		"AddKey AddKeys GenerateKey GetCryptoKeyStatus ListKeys QueryCryptoKeyStatus RemoveKey RemoveKeys " +
		"SetKeyCustomAttributes",
	"Cryptographer.RegisterHost": "" +
		"ChangeKey_Task ConfigureCryptoKey CryptoManagerHostDisable CryptoManagerHostEnable " +
		"CryptoManagerHostPrepare EnableCrypto PrepareCrypto SetCryptoMode",
	"Cryptographer.RegisterVM": "CryptoUnlock_Task",
	"DVPortgroup.Create":       "AddDVPortgroup_Task CreateDVPortgroup_Task",
	"DVPortgroup.Modify":       "DVPortgroupRollback_Task ReconfigureDVPortgroup_Task",
	"DVSwitch.Create":          "CreateDVS_Task",
	"DVSwitch.Modify": "" +
		"DVSRollback_Task MergeDvs_Task MoveDVPort_Task PerformDvsProductSpecOperation_Task ReconfigureDvs_Task " +
		"UpdateDvsCapability UpdateDVSHealthCheckConfig_Task UpdateDVSLacpGroupConfig_Task",
	"DVSwitch.PortConfig": "ReconfigureDVPort_Task",
	"DVSwitch.ResourceManagement": "" +
		"AddNetworkResourcePool DvsReconfigureVmVnicNetworkResourcePool_Task EnableNetworkResourceManagement " +
		"RemoveNetworkResourcePool UpdateNetworkResourcePool",
	"Datacenter.Create":      "CreateDatacenter",
	"Datacenter.Reconfigure": "ReconfigureDatacenter_Task",
	"Datastore.Browse":       "SearchDatastore_Task SearchDatastoreSubFolders_Task",
	"Datastore.Config":       "DatastoreEnterMaintenanceMode DatastoreExitMaintenanceMode_Task QueryIORMConfigOption",
	"Datastore.Delete":       "DestroyDatastore",
	"Datastore.DeleteFile":   "DeleteFile",
	"Datastore.FileManagement": "" +
		"ChangeOwner CopyDatastoreFile_Task DeleteDatastoreFile_Task MakeDirectory MoveDatastoreFile_Task",
	"Datastore.Rename":                    "RenameDatastore",
	"Datastore.UpdateVirtualMachineFiles": "UpdateVirtualMachineFiles_Task UpdateVVolVirtualMachineFiles_Task",
	"DirectPathProfileManager.Manage": "" +
		"DirectPathProfileManagerCreate DirectPathProfileManagerDelete DirectPathProfileManagerUpdate",
	"Extension.Register":   "RegisterExtension",
	"Extension.Unregister": "UnregisterExtension",
	"Extension.Update":     "SetExtensionCertificate SetPublicKey SetServiceAccount UpdateExtension",
	"Folder.Create":        "CreateFolder CreateStoragePod",
	"Folder.Delete":        "UnregisterAndDestroy_Task",
	"Global.CancelTask":    "CancelTask",
	"Global.Diagnostics": "" +
		"BrowseDiagnosticLog CreateIOTripAnalyzerRecurrences EditIOTripAnalyzerRecurrences EmitSyslogMark " +
		"FetchAuditRecords GenerateLogBundles_Task QueryDescriptions QueryVsanCloudHealthStatus " +
		"RemoveIOTripAnalyzerRecurrences VsanAttachVsanSupportBundleToSr VsanPerfDeleteTimeRange " +
		"VsanPerfSaveTimeRanges VsanSetThresholds",
	"Global.Licenses": "" +
		"AddLicense ConfigureLicenseSource DecodeLicense DisableFeature EnableFeature " +
		"QueryLicenseSourceAvailability QuerySupportedFeatures RemoveAssignedLicense RemoveLicense " +
		"RemoveLicenseLabel SetLicenseEdition UpdateAssignedLicense UpdateLicense UpdateLicenseLabel",
	"Global.LogEvent":           "LogUserEvent PostEvent",
	"Global.ManageCustomFields": "AddCustomFieldDef RemoveCustomFieldDef RenameCustomFieldDef",
	"Global.ServiceManagers":    "ExecuteSimpleCommand QueryServiceList",
	"Global.SetCustomField":     "setCustomValue SetField",
	"Global.Settings": "" +
		"ChangeAccessMode FetchIsoDepotCookie QueryLockdownExceptions ReconfigureSnmpAgent " +
		"RetrieveHostAccessControlEntries SendTestNotification SetVsanVcgMappingForHwDevices " +
		"UpdateLockdownExceptions UpdateSystemUsers VsanDownloadAndInstallVendorTool_Task " +
		"VsanDownloadHclFile_Task VsanHealthSendVsanTelemetry VsanHealthSetLogLevel " +
		"VsanHealthSetVsanClusterHealthCheckInterval VsanHealthSetVsanClusterSilentChecks " +
		"VsanHealthSetVsanClusterTelemetryConfig VsanHealthTestVsanClusterTelemetryProxy " +
		"VsanPerfToggleVerboseMode VsanPurgeHclFiles VsanRetrieveProperties VsanSetDpClusterSilentChecks " +
		"VsanVcUpdateHclDbFromWeb VsanVcUploadHclDb VsanVcUploadReleaseDb",
	"Global.VCServer": "" +
		"configureVcha_Task createPassiveNode_Task createWitnessNode_Task deployVcha_Task destroyVcha_Task " +
		"initiateFailover_Task LookupVmOverheadMemory prepareVcha_Task setClusterMode_Task " +
		"VsanDownloadFileServiceOvf VsanQueryFileServiceOvfs",
	"HealthUpdateProvider.Register":   "RegisterHealthUpdateProvider",
	"HealthUpdateProvider.Unregister": "UnregisterHealthUpdateProvider",
	"HealthUpdateProvider.Update":     "AddMonitoredEntities PostHealthUpdates RemoveMonitoredEntities",
	"Host.Cim.CimInteraction":         "AcquireCimServicesTicket",
	"Host.Config.AdvancedConfig":      "ConfigureHostCache_Task HostConfigVFlashCache HostGetVFlashModuleDefaultConfig",
	"Host.Config.AuthenticationStore": "" +
		"DisableSmartCardAuthentication EnableSmartCardAuthentication ImportCertificateForCAM_Task " +
		"InstallSmartCardTrustAnchor JoinDomain_Task JoinDomainWithCAM_Task LeaveCurrentDomain_Task " +
		"ListSmartCardTrustAnchors RemoveSmartCardTrustAnchor RemoveSmartCardTrustAnchorByFingerprint " +
		"RemoveSmartCardTrustAnchorCertificate ReplaceSmartCardTrustAnchors",
	"Host.Config.AutoStart":  "AutoStartPowerOff AutoStartPowerOn ReconfigureAutostart",
	"Host.Config.Connection": "DisconnectHost_Task ReconfigureHostForDAS_Task ReconnectHost_Task",
	"Host.Config.DateTime":   "RefreshDateTimeSystem TestTimeService UpdateDateTime UpdateDateTimeConfig",
	"Host.Config.Firmware": "" +
		"BackupFirmwareConfiguration QueryFirmwareConfigUploadURL ResetFirmwareToFactoryDefaults " +
		"RestoreFirmwareConfiguration",
	"Host.Config.HyperThreading": "DisableHyperThreading EnableHyperThreading",
	"Host.Config.Image":          "fetchSoftwarePackages installDate UpdateHostImageAcceptanceLevel",
	"Host.Config.Maintenance": "" +
		"ConfigureDatastorePrincipal EnterMaintenanceMode_Task ExitMaintenanceMode_Task " +
		"PowerDownHostToStandBy_Task PowerUpHostFromStandBy_Task RebootHost_Task ShutdownHost_Task " +
		"UpdateBootDevice",
	"Host.Config.Memory": "ReconfigureServiceConsoleReservation ReconfigureVirtualMachineReservation",
	"Host.Config.NetService": "" +
		"DisableRuleset EnableRuleset RefreshFirewall RefreshServices RestartService StartService StopService " +
		"UninstallService UpdateDefaultPolicy UpdateRuleset UpdateServicePolicy",
	"Host.Config.Network": "" +
		"AddPortGroup AddServiceConsoleVirtualNic AddVirtualNic AddVirtualSwitch DeselectVnic " +
		"DeselectVnicForNicType RefreshNetworkSystem RemovePortGroup RemoveServiceConsoleVirtualNic " +
		"RemoveVirtualNic RemoveVirtualSwitch RestartServiceConsoleVirtualNic SelectVnic SelectVnicForNicType " +
		"startDpuFailover UpdateConsoleIpRouteConfig UpdateDnsConfig UpdateIpConfig UpdateIpRouteConfig " +
		"UpdateIpRouteTableConfig UpdateNetworkConfig UpdatePhysicalNicLinkSpeed UpdatePortGroup " +
		"UpdateServiceConsoleVirtualNic UpdateVirtualNic UpdateVirtualSwitch",
	"Host.Config.Nvdimm": "" +
		"CreateNvdimmNamespace_Task CreateNvdimmPMemNamespace_Task DeleteNvdimmBlockNamespaces_Task " +
		"DeleteNvdimmNamespace_Task",
	"Host.Config.Patch":                            "InstallHostPatch_Task InstallHostPatchV2_Task StageHostPatch_Task UninstallHostPatch_Task",
	"Host.Config.PciPassthru":                      "UpdatePassthruConfig",
	"Host.Config.Power":                            "ConfigurePowerPolicy",
	"Host.Config.Power Host.Inventory.EditCluster": "PerformClusterPowerAction",
	"Host.Config.ProductLocker":                    "UpdateProductLockerLocation_Task",
	"Host.Config.Resources":                        "UpdateSystemResources",
	"Host.Config.Settings": "" +
		"ChangeLockdownMode ClearSystemEventLog EnterLockdownMode EsxAgentHostManagerUpdateConfig " +
		"ExitLockdownMode FetchSystemEventLog QueryConfiguredModuleOptionString QueryModules Refresh " +
		"RefreshGraphicsManager ResetSystemHealthInfo UpdateAssignableHardwareConfig UpdateFlags " +
		"UpdateGraphicsConfig UpdateIpmi UpdateModuleOptionString UpdateSystemSwapConfiguration",
	"Host.Config.Storage": "" +
		"AbdicateDomOwnership AddDisks_Task AddInternetScsiSendTargets AddInternetScsiStaticTargets AttachScsiLun " +
		"AttachScsiLunEx_Task AttachVmfsExtent BindVnic ChangeNFSUserPassword ClearNFSUser " +
		"ComputeDiskPartitionInfo ComputeDiskPartitionInfoForResize ConfigureVFlashResourceEx_Task " +
		"ConnectNvmeController ConnectNvmeControllerEx_Task CreateDiagnosticPartition CreateLocalDatastore " +
		"CreateNasDatastore CreateNvmeOverRdmaAdapter CreateSoftwareAdapter CreateVmfsDatastore " +
		"CreateVvolDatastore DeleteScsiLunState DeleteVffsVolumeState DeleteVmfsVolumeState DeleteVsanObjects " +
		"DestroyVffs DetachScsiLun DetachScsiLunEx_Task DisableClusteredVmdkSupport DisableMultipathPath " +
		"DisconnectNvmeController DisconnectNvmeControllerEx_Task DiscoverFcoeHbas DiscoverNvmeControllers " +
		"EnableClusteredVmdkSupport EnableMultipathPath EvacuateVsanNode_Task ExpandVmfsDatastore " +
		"ExpandVmfsExtent ExtendVffs ExtendVmfsDatastore FormatVffs FormatVmfs HostConfigureVFlashResource " +
		"HostRemoveVFlashResource InitializeDisks_Task MarkAsLocal_Task MarkAsNonLocal_Task MarkAsNonSsd_Task " +
		"MarkAsSsd_Task MarkForRemoval MarkPerenniallyReserved MarkPerenniallyReservedEx_Task MountVffsVolume " +
		"MountVmfsVolume MountVmfsVolumeEx_Task QueryAvailableDisksForVmfs QueryAvailablePartition " +
		"QueryAvailableSsds QueryBoundVnics QueryCandidateNics QueryMaxQueueDepth QueryMigrationDependencies " +
		"QueryNFSUser QueryPartitionCreateDesc QueryPartitionCreateOptions QueryPnicStatus QueryVmfsConfigOption " +
		"QueryVmfsDatastoreCreateOptions QueryVmfsDatastoreExpandOptions QueryVmfsDatastoreExtendOptions " +
		"QueryVnicStatus RecommissionVsanNode_Task ReconfigureDomObject RefreshStorageSystem RemoveDatastore " +
		"RemoveDatastoreEx_Task RemoveDisk_Task RemoveDiskMapping_Task RemoveInternetScsiSendTargets " +
		"RemoveInternetScsiStaticTargets RemoveNvmeOverRdmaAdapter RemoveSoftwareAdapter RescanAllHba RescanHba " +
		"RescanVffs RescanVmfs ResignatureUnresolvedVmfsVolume_Task ResolveMultipleUnresolvedVmfsVolumes " +
		"ResolveMultipleUnresolvedVmfsVolumesEx_Task ResolveNfsServerHostName SelectActivePartition " +
		"SetMaxQueueDepth SetMultipathLunPolicy SetNFSUser TurnDiskLocatorLedOff_Task TurnDiskLocatorLedOn_Task " +
		"UnbindVnic UnmapVmfsVolumeEx_Task UnmountDiskMapping_Task UnmountForceMountedVmfsVolume " +
		"UnmountVffsVolume UnmountVmfsVolume UnmountVmfsVolumeEx_Task UpdateDiskPartitions " +
		"UpdateHppMultipathLunPolicy UpdateInternetScsiAdvancedOptions UpdateInternetScsiAlias " +
		"UpdateInternetScsiAuthenticationProperties UpdateInternetScsiDigestProperties " +
		"UpdateInternetScsiDiscoveryProperties UpdateInternetScsiIPProperties UpdateInternetScsiName " +
		"UpdateLocalSwapDatastore UpdateScsiLunDisplayName UpdateSoftwareInternetScsiEnabled " +
		"UpdateVmfsUnmapBandwidth UpdateVmfsUnmapPriority UpdateVsan_Task UpgradeVmfs UpgradeVmLayout " +
		"UpgradeVsanObjects VsanAddStoragePoolDisk VsanCreateDatastoreSource VsanDeleteStoragePoolDisk " +
		"VsanDestroyDatastoreSource VsanEnterSiteMaintenanceMode VsanExitSiteMaintenanceMode " +
		"VsanFlashScsiControllerFirmware_Task VsanHostAbortWipeDisk VsanHostRepairImmediateObjects " +
		"VsanHostWipeDisk VsanPrecheckDatastoreSource VsanRebalanceFileService VsanRollbackVdsToVss " +
		"VsanStartProactiveRebalance VsanStopProactiveRebalance VsanUnmountDiskMappingEx " +
		"VsanUnmountStoragePoolDisks VsanUpdateDatastoreSource",
	"Host.Inventory.AddHostToCluster":  "AddHost_Task BatchAddHostsToCluster_Task",
	"Host.Inventory.AddStandaloneHost": "AddStandaloneHost_Task BatchAddStandaloneHosts_Task",
	"Host.Inventory.CreateCluster":     "CreateCluster CreateClusterEx",
	"Host.Inventory.EditCluster": "" +
		"AbandonHciWorkflow AddFilter AddFilterEntities ApplyRecommendation ConfigureEvcMode_Task " +
		"ConfigureHCI_Task DisableEvcMode_Task DisableNetworkBoot_Task EnableNetworkBoot_Task ExtendHCI_Task " +
		"MoveHostInto_Task MoveInto_Task ReconfigureCluster_Task ReconfigureComputeResource_Task " +
		"RefreshRecommendation RemoveFilter RemoveFilterEntities StampAllRulesWithUuid_Task VsanPostConfigForVcsa",
	"Host.Local.ManageUserGroups": "" +
		"AssignUserToGroup CreateGroup CreateUser RemoveGroup RemoveUser UnassignUserFromGroup UpdateUser",
	"Network.Assign": "VsanCompleteMigrateVmsToVds VsanMigrateVmsToVds",
	"Network.Delete": "DestroyNetwork",
	"Performance.ModifyIntervals": "" +
		"CreatePerfInterval RemovePerfInterval ResetCounterLevelMapping UpdateCounterLevelMapping " +
		"UpdatePerfInterval",
	"Profile.Clear":  "ClearComplianceStatus",
	"Profile.Create": "CreateProfile",
	"Profile.Delete": "DestroyProfile",
	"Profile.Edit": "" +
		"AssociateProfile CompositeHostProfile_Task DissociateProfile HostProfileResetValidationState " +
		"UpdateAnswerFile_Task UpdateClusterProfile UpdateHostProfile UpdateHostSpecification " +
		"UpdateHostSubSpecification UpdateReferenceHost ValidateHostProfileComposition_Task",
	"Profile.Export":            "ExportAnswerFile_Task ExportProfile",
	"Resource.ColdMigrate":      "MigrateVM_Task RelocateVM_Task",
	"Resource.CreatePool":       "CreateResourcePool",
	"Resource.DeletePool":       "DestroyChildren",
	"Resource.EditPool":         "QueryResourceConfigOption UpdateChildResourceConfiguration UpdateConfig",
	"Resource.MovePool":         "MoveIntoResourcePool",
	"Resource.QueryVMotion":     "QueryVMotionCompatibility",
	"ScheduledTask.Delete":      "RemoveScheduledTask",
	"ScheduledTask.Edit":        "ReconfigureScheduledTask",
	"ScheduledTask.Run":         "RunScheduledTask",
	"Sessions.GlobalMessage":    "UpdateServiceMessage",
	"Sessions.ImpersonateUser":  "ImpersonateUser",
	"Sessions.TerminateSession": "TerminateSession",
	"Sessions.ValidateSession":  "SessionIsActive",
	"StoragLifecycle.View":      "VslmLogout",
	"StorageProfile.Update": "" +
		"PbmAssignDefaultRequirementProfile PbmCreate PbmDelete PbmResetDefaultRequirementProfile " +
		"PbmResetVSanDefaultProfile PbmUpdate",
	"StorageProfile.View": "" +
		"PbmCheckCompatibility PbmCheckCompatibilityWithSpec PbmCheckCompliance PbmCheckRequirements " +
		"PbmCheckRollupCompliance PbmFetchCapabilityMetadata PbmFetchCapabilitySchema PbmFetchComplianceResult " +
		"PbmFetchResourceType PbmFetchRollupComplianceResult PbmFetchVendorInfo PbmFindApplicableDefaultProfile " +
		"PbmQueryAssociatedEntities PbmQueryAssociatedEntity PbmQueryAssociatedProfile PbmQueryAssociatedProfiles " +
		"PbmQueryByRollupComplianceStatus PbmQueryDefaultRequirementProfile PbmQueryDefaultRequirementProfiles " +
		"PbmQueryMatchingHub PbmQueryMatchingHubWithSpec PbmQueryProfile PbmQueryReplicationGroups " +
		"PbmQuerySpaceStatsForStorageContainer PbmRetrieveContent",
	"StorageViews.ConfigureService": "" +
		"FailoverReplicationGroup_Task PrepareFailoverReplicationGroup_Task PromoteReplicationGroup_Task " +
		"RegisterProvider_Task ReverseReplicateGroup_Task SmsRefreshCACertificatesAndCRLs_Task " +
		"SyncReplicationGroup_Task TestFailoverReplicationGroupStart_Task TestFailoverReplicationGroupStop_Task " +
		"UnregisterProvider_Task UpgradeVASAProvider_Task VasaProviderReconnect_Task " +
		"VasaProviderRefreshCertificate_Task VasaProviderRevokeCertificate_Task",
	"StorageViews.View": "" +
		"QueryAboutInfo QueryActiveAlarm QueryArray QueryArrayAssociatedWithLun QueryAssociatedBackingStoragePool " +
		"QueryDatastoreBackingPoolMapping QueryDatastoreCapability QueryDrsMigrationCapabilityForPerformance " +
		"QueryDrsMigrationCapabilityForPerformanceEx QueryFaultDomain QueryFileSystemAssociatedWithArray " +
		"QueryHostAssociatedWithLun QueryLunAssociatedWithArray QueryLunAssociatedWithPort " +
		"QueryNfsDatastoreAssociatedWithFileSystem QueryPointInTimeReplica QueryPortAssociatedWithArray " +
		"QueryPortAssociatedWithLun QueryPortAssociatedWithProcessor QueryProcessorAssociatedWithArray " +
		"QueryProvider QueryProviderInfo QueryReplicationGroup QueryReplicationGroupInfo QueryReplicationPeer " +
		"QuerySmsTaskInfo QuerySmsTaskResult QueryStorageContainer QueryStorageManager " +
		"QueryVmfsDatastoreAssociatedWithLun VasaProviderSync_Task",
	"System.Anonymous": "" +
		"AcquireGenericServiceTicket AcquireLocalTicket ChangePassword CloneSession Login LoginBySSPI " +
		"LoginByToken LoginExtensionByCertificate LoginExtensionBySubjectName PbmRetrieveServiceContent " +
		"QuerySessionManager RetrieveContent RetrieveProductComponents RetrieveProperties RetrievePropertiesEx " +
		"RetrieveServiceContent VslmLoginByToken",
	"System.Read": "" +
		"AttachTagToVStorageObject CancelRecommendation CanProvisionObjects CheckHostPatch_Task " +
		"CheckLicenseFeature DetachTagFromVStorageObject DownloadDescriptionTree EstimateDatabaseSize EvcManager " +
		"FetchDVPortKeys FetchDVPorts getClusterMode GetIOTripAnalyzerSchedulerConfig GetResourceUsage " +
		"GetVchaClusterHealth getVchaConfig GetVsanObjExtAttrs GetVsanVumConfig HostImageConfigGetAcceptance " +
		"HostImageConfigGetProfile IsClusteredVmdkEnabled IsSharedGraphicsActive ListTagsAttachedToVStorageObject " +
		"ListVStorageObjectsAttachedToTag LookupDvPortGroup PerformVsanUpgrade_Task " +
		"PerformVsanUpgradePreflightCheck QueryAvailableTimeZones QueryBootDevices QueryCmmds QueryDateTime " +
		"QueryDisksForVsan QueryHostConnectionInfo QueryHostPatch_Task QueryHostStatus QueryHostsWithAttachedLun " +
		"QueryLicenseUsage QueryMemoryOverhead QueryMemoryOverheadEx QueryNetConfig QueryNetworkHint " +
		"QueryObjectsOnPhysicalVsanDisk QueryPathSelectionPolicyOptions QueryPhysicalVsanDisks " +
		"QueryProductLockerLocation QuerySharedWitnessClusterInfo QuerySharedWitnessCompatibility " +
		"QueryStorageArrayTypePolicyOptions QuerySyncingVsanObjects QueryTpmAttestationReport " +
		"QueryUnresolvedVmfsVolume QueryUnresolvedVmfsVolumes QueryUsedVlanIdInDvs " +
		"QueryVsanManagedStorageSpaceUsage QueryVsanObjects QueryVsanObjectUuidsByFilter QueryVsanStatistics " +
		"QueryVsanUpgradeStatus RecommendHostsForVm ReconfigurationSatisfiable RectifyDvsHost_Task " +
		"RectifyDvsOnHost_Task RefreshDatastore RefreshDatastoreStorageInfo RefreshDVPortState " +
		"RefreshHealthStatusSystem RefreshStorageInfo Reload RetrieveDasAdvancedRuntimeInfo " +
		"RetrieveDiskPartitionInfo RetrieveDynamicPassthroughInfo RetrieveFreeEpcMemory RetrieveHardwareUptime " +
		"RetrieveVendorDeviceGroupInfo RetrieveVgpuDeviceInfo RetrieveVgpuProfileInfo RunLifecycleCheck " +
		"RunVsanPhysicalDiskDiagnostics ScanHostPatch_Task ScanHostPatchV2_Task ValidateHCIConfiguration " +
		"VsanCheckClusterClomdLiveness VsanClusterGetHclInfo VsanGetAboutInfoEx VsanGetClusterRAIDInfo " +
		"VsanGetConfigurationLimits VsanGetDiskHclConstraints VsanGetHclInfo VsanGetHclInfoForEligibleDisks " +
		"VsanGetNetworkDiagnosticsHealthInfo VsanGetProactiveRebalanceInfo VsanGetSiteMaintenancePrecheckStatus " +
		"VsanGetThresholds VsanHealthQueryVsanProxyConfig VsanHostCancelResourceCheck VsanHostCleanupVmdkLoadTest " +
		"VsanHostClomdLiveness VsanHostCreateVmHealthTest VsanHostGetRuntimeStats VsanHostPerformResourceCheck " +
		"VsanHostPrepareVmdkLoadTest VsanHostQueryAdvCfg VsanHostQueryCheckLimits " +
		"VsanHostQueryEncryptionHealthSummary VsanHostQueryFileServiceHealthSummary " +
		"VsanHostQueryHealthSystemVersion VsanHostQueryHostInfoByUuids VsanHostQueryObjectHealthSummary " +
		"VsanHostQueryPhysicalDiskHealthSummary VsanHostQueryRunIperfClient VsanHostQueryRunIperfServer " +
		"VsanHostQuerySmartStats VsanHostQueryVerifyNetworkSettings VsanHostQueryWipeDisk VsanHostRunVmdkLoadTest " +
		"VsanPerfGetAggregatedEntityTypes VsanPerfGetSupportedDiagnosticExceptions " +
		"VsanPerfGetSupportedEntityTypes VsanPerfGetSupportedHotspotEntityTypes " +
		"VsanPerformSiteMaintenancePrecheck VsanQueryAllSupportedHealthChecks VsanQueryClusterAdvCfgSync " +
		"VsanQueryClusterCaptureVsanPcap VsanQueryClusterCheckLimits VsanQueryClusterCreateVmHealthTest " +
		"VsanQueryClusterHealthSystemVersions VsanQueryClusterHistoricalHealth VsanQueryClusterNetworkPerfTest " +
		"VsanQueryClusterPhysicalDiskHealthSummary VsanQueryClusterSiteMaintenanceState VsanQueryDatastoreSource " +
		"VsanQueryHciMeshDatastores VsanQueryHealthSummary VsanQueryHistoricalHealth VsanQueryHostDrsStats " +
		"VsanQueryHostEMMState VsanQueryHostStatusEx VsanQueryNetworkDiagnostics VsanQueryPhysicalPlacements " +
		"VsanQuerySyncingVsanObjects VsanQueryVcClusterVmdkWorkloadTypes VsanQueryVerifyClusterNetworkSettings " +
		"VsanQueryWhatIfEvacuationResult VsanRepairClusterImmediateObjects VsanVcsaGetBootstrapProgress " +
		"VsanVitQueryIscsiTargetServiceVersion VsanWaitForVsanHealthGenerationIdChange",
	"Task.Create":                           "CreateTask",
	"Task.Update":                           "SetTaskDescription SetTaskState UpdateProgress",
	"TenantManager.Query":                   "RetrieveServiceProviderEntities",
	"TenantManager.Update":                  "MarkServiceProviderEntities UnmarkServiceProviderEntities",
	"VApp.ApplicationConfig":                "UpdateLinkedChildren UpdateVAppConfig",
	"VApp.Clone":                            "CloneVApp_Task",
	"VApp.Create":                           "CreateVApp",
	"VApp.Export":                           "ExportSnapshot ExportVApp ExportVm",
	"VApp.ExtractOvfEnvironment":            "ExtractOvfEnvironment",
	"VApp.Import":                           "ImportVApp",
	"VApp.PowerOff":                         "PowerOffVApp_Task",
	"VApp.PowerOn":                          "PowerOnVApp_Task",
	"VApp.Suspend":                          "SuspendVApp_Task",
	"VApp.Unregister":                       "unregisterVApp_Task",
	"VirtualMachine.Config.AddExistingDisk": "AttachDisk_Task",
	"VirtualMachine.Config.QueryFTCompatibility": "" +
		"QueryFaultToleranceCompatibility QueryFaultToleranceCompatibilityEx",
	"VirtualMachine.Config.QueryUnownedFiles":      "QueryUnownedFiles",
	"VirtualMachine.Config.ReloadFromPath":         "reloadVirtualMachineFromPath_Task",
	"VirtualMachine.Config.RemoveDisk":             "DetachDisk_Task",
	"VirtualMachine.Config.ResetGuestInfo":         "ResetGuestInformation",
	"VirtualMachine.Config.Settings":               "ApplyEvcModeVM_Task",
	"VirtualMachine.Config.UpgradeVirtualHardware": "UpgradeVM_Task",
	"VirtualMachine.Interact.AnswerQuestion":       "AnswerVM",
	"VirtualMachine.Interact.ConsoleInteract": "" +
		"AcquireMksTicket DropConnections QueryConnections SetDisplayTopology SetScreenResolution",
	"VirtualMachine.Interact.CreateScreenshot":         "CreateScreenshot_Task",
	"VirtualMachine.Interact.CreateSecondary":          "CreateSecondaryVM_Task CreateSecondaryVMEx_Task",
	"VirtualMachine.Interact.DefragmentAllDisks":       "DefragmentAllDisks",
	"VirtualMachine.Interact.DisableSecondary":         "DisableSecondaryVM_Task",
	"VirtualMachine.Interact.EnableSecondary":          "EnableSecondaryVM_Task",
	"VirtualMachine.Interact.GuestControl":             "SendNMI",
	"VirtualMachine.Interact.MakePrimary":              "MakePrimaryVM_Task",
	"VirtualMachine.Interact.PowerOff":                 "PowerOffVM_Task ShutdownGuest TerminateVM",
	"VirtualMachine.Interact.PowerOn":                  "PowerOnVM_Task",
	"VirtualMachine.Interact.PutUsbScanCodes":          "PutUsbScanCodes",
	"VirtualMachine.Interact.Record":                   "StartRecording_Task StopRecording_Task",
	"VirtualMachine.Interact.Replay":                   "StartReplaying_Task StopReplaying_Task",
	"VirtualMachine.Interact.Reset":                    "RebootGuest ResetVM_Task",
	"VirtualMachine.Interact.Suspend":                  "StandbyGuest SuspendVM_Task",
	"VirtualMachine.Interact.TerminateFaultTolerantVM": "TerminateFaultTolerantVM_Task",
	"VirtualMachine.Interact.ToolsInstall":             "MountToolsInstaller UnmountToolsInstaller UpgradeTools_Task",
	"VirtualMachine.Interact.TurnOffFaultTolerance":    "TurnOffFaultToleranceForVM_Task",
	"VirtualMachine.Inventory.Create":                  "CreateChildVM_Task CreateVM_Task VsanPrepareVsanForVcsa",
	"VirtualMachine.Inventory.Register":                "RegisterChildVM_Task RegisterVM_Task",
	"VirtualMachine.Inventory.Unregister":              "UnregisterVM",
	"VirtualMachine.Provisioning.Clone":                "CloneVM_Task InstantClone_Task",
	"VirtualMachine.Provisioning.Customize": "" +
		"AbortCustomization_Task CheckCustomizationSpec CustomizeGuest_Task CustomizeVM_Task " +
		"StartGuestNetwork_Task",
	"VirtualMachine.Provisioning.DiskRandomRead": "QueryChangedDiskAreas",
	"VirtualMachine.Provisioning.MarkAsTemplate": "MarkAsTemplate",
	"VirtualMachine.Provisioning.MarkAsVM":       "MarkAsVirtualMachine",
	"VirtualMachine.Provisioning.ModifyCustSpecs": "" +
		"CreateCustomizationSpec DeleteCustomizationSpec DuplicateCustomizationSpec OverwriteCustomizationSpec " +
		"RenameCustomizationSpec",
	"VirtualMachine.Provisioning.PromoteDisks":  "PromoteDisks_Task",
	"VirtualMachine.Provisioning.ReadCustSpecs": "DoesCustomizationSpecExist GetCustomizationSpec",
	"VirtualMachine.State.CreateSnapshot":       "CreateSnapshot_Task CreateSnapshotEx_Task",
	"VirtualMachine.State.RemoveSnapshot": "" +
		"ConsolidateVMDisks_Task EstimateStorageForConsolidateSnapshots_Task RemoveAllSnapshots_Task " +
		"RemoveSnapshot_Task",
	"VirtualMachine.State.RenameSnapshot":   "RenameSnapshot",
	"VirtualMachine.State.RevertToSnapshot": "RevertToCurrentSnapshot_Task RevertToSnapshot_Task",
}
