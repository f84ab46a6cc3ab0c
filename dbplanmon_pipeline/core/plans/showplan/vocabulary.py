"""Elements and attributes of showplans by what they can carry; what is not listed here may carry anything."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ELEMENTS = _words(
    """
    ActionColumn Activation AdaptiveJoin AggFunctions Aggregate Apply Arithmetic Assert Assign AssignmentMap Batch
    BatchHashTableBuild BatchSequence Bitmap Bookmarks BrickRouting BuildResidual CLRFunction Collapse Column
    ColumnGroup ColumnReference ColumnsWithNoStatistics ColumnsWithStaleStatistics Compare ComputeScalar Concat
    Condition Const ConstTableGet ConstantScan Convert CreateIndex CursorPlan DefinedValue DefinedValues Delete
    DeletedScan Dispatcher DistributionKey Else EndRange ExchangeSpillDetails ExtExtractScan Extension
    ExternalDistributedComputation ExternalSelect Filter ForeignKeyReferenceCheck ForeignKeyReferencesCheck
    FragmentIdColumn GbAgg GbApply Generic Get GroupBy GroupingSet GroupingSets GuessedSelectivity Hash HashKeys
    HashKeysBuild HashKeysProbe HashSpillDetails IF Identifier IndexScan IndexedViewInfo InnerSideJoinColumns Insert
    InsertedScan Intrinsic IsNotNull Join LocalCube LogRowScan Logical MemoryFractions MemoryGrantInfo
    MemoryGrantWarning Merge MergeInterval MissingIndex MissingIndexGroup MissingIndexes Move MultipleAssign
    NestedLoops Object OffsetExpression OnlineIndex Operation OptimizerHardwareDependentProperties
    OptimizerStatsUsage OptionalParameterPredicate OrderBy OrderByColumn OriginalActionColumn OuterReferences
    OuterSideJoinColumns OutputColumns OutputList Parallelism ParameterList ParameterSensitivePredicate
    ParameterTableScan Parameterization PartitionColumns PartitionId PartitionRange PartitionsAccessed PassThru
    PlanAffectingConvert Predicate Prefix PrintDataflow Probe ProbeColumn ProbeResidual Project Put QueryPlan
    QueryTimeStats RangeColumns RangeExpressions ReceivePlan RelOp RemoteFetch RemoteModify RemoteQuery RemoteRange
    RemoteScan Residual RollupInfo RollupLevel Row RowCountSpool RunTimeCountersPerThread RunTimeInformation
    RunTimePartitionSummary ScalarExpressionList ScalarInsert ScalarOperator SeekKeys SeekPredicate SeekPredicateNew
    SeekPredicatePart SeekPredicates Segment SegmentColumn Sequence SequenceProject SetPredicate ShowPlanXML
    SimpleUpdate Sort SortSpillDetails SourceColumn SourceTable Spatial SpillOccurred SpillToTempDb Split Spool
    StarJoinInfo StartRange StatementSetOptions Statements StatisticsInfo StmtCond StmtCursor StmtReceive StmtSimple
    StmtUseDb StoredProc StreamAggregate Style Subquery Switch TFP TableScan TableValuedFunction TargetColumn
    TargetTable Then ThreadReservation ThreadStat TieColumns Top TopExpression TopSort TraceFlag TraceFlags
    UDAggObject UDF UDTMethod Union UnionAll UnmatchedIndexes Update UsedUDXColumns UserDefinedAggregate
    UserDefinedFunction ValueVector Values Wait WaitStats Warnings WindowAggregate WindowSpool XcsScan
    """
)
"""Elements of all schema versions, without those that hold free text or anything."""

NAMES = _words(
    """
    Alias Assembly Class Column CursorName Database FunctionName Index Method Name PlanGuideDB PlanGuideName
    ProcName Schema Server Statistics Table TemplatePlanGuideDB TemplatePlanGuideName
    """
)
"""Names of tables, columns, indexes, statistics, procedures, cursors and plan guides."""

EXPRESSIONS = _words(
    """
    Expression ParameterizedText ScalarString StatementText
    """
)
"""T-SQL in which names and literals mix."""

NUMBERS = _words(
    """
    ActualCPUms ActualElapsedms ActualEndOfScans ActualExecutions ActualLobLogicalReads
    ActualLobPageServerReadAheads ActualLobPageServerReads ActualLobPhysicalReads ActualLobReadAheads
    ActualLocallyAggregatedRows ActualLogicalReads ActualPageServerReadAheads ActualPageServerReads
    ActualPhysicalReads ActualReadAheads ActualRebinds ActualRewinds ActualRows ActualRowsRead ActualScans
    AdaptiveThresholdRows AvgRowSize Batches Branches BrickId CachedPlanSize CardinalityEstimationModelVersion
    CloseTime ColumnId CompileCPU CompileMemory CompileTime CpuTime DatabaseContextSettingsId DegreeOfParallelism
    DesiredMemory EffectiveDegreeOfParallelism ElapsedTime End EstimateCPU EstimateIO EstimateRebinds
    EstimateRewinds EstimateRows EstimateRowsWithoutRowGoal EstimatedAvailableDegreeOfParallelism
    EstimatedAvailableMemoryGrant EstimatedPagesCached EstimatedRowsRead EstimatedTotalSubtreeCost FirstActiveTime
    FirstRowTime ForceSeekColumnCount ForeignKeyReferencesCount GrantWaitTime GrantedMemory GrantedMemoryKb
    GraphSequenceIdentifier GraphWorkTableIdentifier GraphWorkTableType HighBoundary HighestLevel
    HpcDeviceToHostBytes HpcHostToDeviceBytes HpcKernelElapsedUs HpcRowCount Impact Input InputMemoryGrant
    LastActiveTime LastRequestedMemory LastRowTime Length Level LowBoundary MaxCompileMemory MaxQueryMemory
    MaxUsedMemory MemoryGrant ModificationCount NoMatchingIndexCount NodeId NumRows OnlineInbuildIndex
    OnlineIndexBuildMappingIndex OpenTime Output OutputMemoryGrant PDWAccumulativeCost ParentObjectId
    PartialMatchingIndexCount PartitionCount Precision PrimaryNodeId QueryVariantID ReadsFromTempDb RequestedMemory
    RequiredMemory ReservedThreads SamplingPercent Scale SchedulerId SegmentReads SegmentSkips SerialDesiredMemory
    SerialRequiredMemory SpillLevel SpilledThreadCount Start StatementCompId StatementEstRows StatementId
    StatementParameterizationType StatementSubTreeCost StatsCollectionId TableCardinality TableReferenceId TaskAddr
    Thread UdfCpuTime UdfElapsedTime UsedMemoryGrant UsedMemoryKb UsedThreads WaitCount WaitTime WaitTimeMs
    WritesToTempDb
    """
)
"""Figures of the optimizer and the run; `Rows` of TOP and `Style` of CONVERT are values of the statement."""

FLAGS = _words(
    """
    ANSI_NULLS ANSI_PADDING ANSI_WARNINGS ARITHABORT Ascending BatchModeOnRowStoreUsed BitmapCreator
    CONCAT_NULL_YIELDS_NULL ClusteredMode ComputeSequence ComputedColumn ContainsInlineScalarTsqlUdfs
    ContainsInterleavedExecutionCandidates DMLRequestSort Detail Distinct DynamicSeek Filtered ForceScan ForceSeek
    ForcedIndex ForwardOnly FullUpdateForOnlineIndexBuild GroupExecuted Implicit InRow IsAdaptive IsClrFunction
    IsCompileTime IsDistributed IsExternal IsExternallyComputed IsFull IsGraphDBTransitiveClosure IsHashDistributed
    IsInterleavedExecuted IsNativelyCompiled IsNoOp IsPercent IsReplicated IsRoundRobin IsScalar LocalParallelism
    Lookup ManyToMany NUMERIC_ROUNDABORT NoExpandHint NoJoinPredicate Optimized Ordered Parallel Partitioned
    QUOTED_IDENTIFIER RemoteDataAccess Remoting RetrievedFromCache Root RowCount SecurityPolicyApplied SpatialGuess
    Stack StartupExpression UnmatchedIndexes UsePlan WithOrderedPrefetch WithTies WithUnorderedPrefetch
    """
)
"""Written 0, 1, true or false."""

WORDS = _words(
    """
    ActualExecutionMode ActualJoinType AggType CloneAccessScope CompareOp ConvertIssue CursorActualType
    CursorConcurrency CursorRequestedType EstimatedExecutionMode EstimatedJoinType GrantWarningKind HintType
    IndexKind IsMemoryGrantFeedbackAdjusted JoinType LogicalOp NonParallelPlanReason Operation OperationType
    PartitioningType PhysicalOp ScanDirection ScanType Scope SetPredicateType StatementOptmEarlyAbortReason
    StatementOptmLevel StatementType Storage UDXName Usage WaitType
    """
)
"""Words of a closed list of the engine."""

HASHES = frozenset({"QueryHash", "QueryPlanHash"})
"""Handles of statements are not here: they are made from the text itself."""

MOMENTS = frozenset({"LastUpdate"})

TYPES = frozenset({"DataType", "ParameterDataType"})

VERSIONS = frozenset({"Build", "Version"})

SOURCES = frozenset({"RemoteDestination", "RemoteSource"})
"""Linked servers; text of OPENROWSET stands here, too, and may hold a password, so only a plain name stays."""
