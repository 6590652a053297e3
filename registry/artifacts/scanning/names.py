"""Which globals a pickle may name. Default deny: what is not listed here, exactly, is suspicious."""

from __future__ import annotations

from registry.artifacts.scanning.report import CLEAN, MALICIOUS, SUSPICIOUS
from registry.artifacts.scanning.sklearn_names import SKLEARN

# A whole module tree whose names nobody needs to load a model, and that run code, start programs, reach the
# network or the disk, or reach any of this by way of attributes.
_DANGEROUS = """
    __builtin__ __builtins__ __main__ _aix_support _asyncio _bootsubprocess _ctypes _frozen_importlib
    _frozen_importlib_external _io _imp _osx_support _pickle _posixsubprocess _pyrepl _socket _ssl _sqlite3
    _thread _winapi aiohttp ast asyncio asyncore atexit bdb builtins cPickle cffi cgi cgitb cloudpickle cmd
    code codecs codeop commands compileall concurrent cProfile ctypes dbm dill dis distutils doctest
    ensurepip faulthandler filecmp fileinput ftplib functools gc glob http httplib httpx idlelib imaplib imp
    importlib inspect io jinja2 joblib lib2to3 linecache logging marshal mmap modulefinder multiprocessing
    netrc nntplib nt ntpath numexpr numpy operator os paramiko pathlib pdb pexpect pickle pickletools pip pipes
    pkg_resources pkgutil platform plistlib poplib popen2 posix posixpath posixsubprocess profile pstats pty
    pydoc py_compile pyexpat readline requests resource rlcompleter runpy sched selectors setuptools shelve
    shlex shutil signal site sitecustomize smtpd smtplib socket socketserver sqlite3 ssl subprocess sympy sys
    sysconfig tarfile tabnanny telnetlib tempfile test tests threading timeit tkinter torch trace traceback
    tracemalloc turtle types unittest urllib urllib2 urllib3 uuid venv wave weakref webbrowser winreg
    wsgiref xmlrpc yaml zipapp zipfile zipimport _operator _functools _codecs
    """
DANGEROUS = frozenset(_DANGEROUS.split())
# Of these, most names are only unknown; those below are what is abused in them.
MIXED = frozenset(
    ["joblib", "numpy", "torch", "logging", "pathlib", "uuid", "weakref", "platform", "functools"]
)
_ABUSED = """
    functools.partial functools.reduce functools.partialmethod joblib.load logging.config
    numpy.core._ufunc_reconstruct numpy._core._ufunc_reconstruct numpy.core.numerictypes numpy.distutils
    numpy.f2py numpy.fromregex numpy.ctypeslib numpy.load numpy.loadtxt numpy.genfromtxt numpy.memmap
    numpy.save numpy.savetxt numpy.testing numpy.lib numpy.compat numpy.fromfile numpy.DataSource
    pathlib.Path platform.popen platform._syscmd_ver torch.hub torch.load torch.jit torch.package torch.serialization
    torch.utils torch.distributed torch.multiprocessing torch._dynamo torch._inductor torch.fx torch.ops
    torch.classes torch.storage._load_from_bytes torch.library torch.cuda torch._C uuid._get_command_stdout
    """
ABUSED = tuple(_ABUSED.split())

_LISTED: dict[str, str] = {
    "builtins": "bool bytearray bytes complex dict float frozenset int list object range set slice str tuple "
    "Ellipsis NotImplemented",
    "copyreg": "_reconstructor __newobj__",
    "_codecs": "encode",
    "collections": "OrderedDict Counter defaultdict deque",
    "datetime": "date datetime time timedelta timezone",
    "decimal": "Decimal",
    "fractions": "Fraction",
    "uuid": "UUID",
    "array": "array _array_reconstructor",
    "pathlib": "PurePosixPath PureWindowsPath",
    "random": "Random",
    "numpy": "ndarray dtype matrix bool_ bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 "
    "float64 float128 longdouble complex64 complex128 str_ bytes_ object_ void datetime64 timedelta64 intc "
    "intp longlong ulonglong int_ uint float_ "
    "abs absolute add ceil cos cosh divide exp exp2 expm1 floor fmax fmin isfinite isinf isnan log log10 log1p "
    "log2 maximum mean median minimum multiply negative nanmean nanmedian power reciprocal rint sign sin sinh "
    "sqrt square std subtract sum tan tanh true_divide trunc cbrt arcsinh arctanh",
    "numpy._core.multiarray": "_reconstruct scalar",
    "numpy._core.numeric": "_frombuffer",
    "numpy.ma": "MaskedArray",
    "numpy.ma.core": "MaskedArray _mareconstruct",
    "numpy.random._pickle": "__randomstate_ctor __bit_generator_ctor __generator_ctor",
    "numpy.random.mtrand": "RandomState",
    "numpy.random._generator": "Generator",
    "numpy.random._mt19937": "MT19937",
    "numpy.random._pcg64": "PCG64 PCG64DXSM",
    "numpy.random._philox": "Philox",
    "numpy.random._sfc64": "SFC64",
    "numpy.random.bit_generator": "SeedSequence __pyx_unpickle_SeedSequence",
    "numpy.dtypes": "Float16DType Float32DType Float64DType Int8DType Int16DType Int32DType Int64DType "
    "UInt8DType UInt16DType UInt32DType UInt64DType BoolDType ObjectDType StrDType BytesDType StringDType",
    "scipy.sparse._csr": "csr_matrix csr_array",
    "scipy.sparse._csc": "csc_matrix csc_array",
    "scipy.sparse._coo": "coo_matrix coo_array",
    "scipy.sparse._bsr": "bsr_matrix bsr_array",
    "scipy.sparse._dia": "dia_matrix dia_array",
    "scipy.sparse._dok": "dok_matrix dok_array",
    "scipy.sparse._lil": "lil_matrix lil_array",
    "scipy.interpolate._interpolate": "interp1d PPoly",
    "scipy.interpolate._bsplines": "BSpline",
    "scipy.interpolate._fitpack2": "UnivariateSpline InterpolatedUnivariateSpline LSQUnivariateSpline",
    "scipy.stats._distn_infrastructure": "rv_continuous_frozen rv_discrete_frozen",
    "scipy._lib.array_api_compat.numpy._aliases": "asarray",
    "sklearn.feature_selection._univariate_selection": "chi2 f_classif f_oneway f_regression r_regression",
    "sklearn.feature_selection._mutual_info": "mutual_info_classif mutual_info_regression",
    "sklearn.cluster._kmeans": "_kmeans_single_lloyd _kmeans_single_elkan",
    "scipy.spatial._ckdtree": "cKDTree",
    "scipy.spatial._kdtree": "KDTree",
    "joblib.numpy_pickle": "NumpyArrayWrapper",
    "sklearn.externals.joblib.numpy_pickle": "NumpyArrayWrapper",
    "pandas": "Series DataFrame Index RangeIndex",
    "pandas.core.frame": "DataFrame",
    "pandas.core.series": "Series",
    "pandas.core.indexes.base": "Index _new_Index",
    "pandas.core.indexes.range": "RangeIndex",
    "pandas.core.indexes.multi": "MultiIndex",
    "pandas.core.indexes.numeric": "Int64Index Float64Index UInt64Index",
    "pandas.core.indexes.category": "CategoricalIndex",
    "pandas.core.indexes.datetimes": "DatetimeIndex _new_DatetimeIndex",
    "pandas.core.internals.managers": "BlockManager SingleBlockManager",
    "pandas._libs.internals": "_unpickle_block BlockPlacement",
    "pandas.core.arrays.categorical": "Categorical",
    "pandas.core.arrays.string_": "StringArray StringDtype",
    "pandas.core.arrays.datetimes": "DatetimeArray",
    "pandas.core.dtypes.dtypes": "CategoricalDtype DatetimeTZDtype",
    "pandas._libs.tslibs.timestamps": "_unpickle_timestamp",
    "pandas._libs.arrays": "__pyx_unpickle_NDArrayBacked",
    "lightgbm.basic": "Booster",
    "lightgbm.sklearn": "LGBMClassifier LGBMRegressor LGBMRanker LGBMModel",
    "xgboost.core": "Booster",
    "xgboost.sklearn": "XGBClassifier XGBRegressor XGBRanker XGBRFClassifier XGBRFRegressor XGBModel",
    "catboost.core": "CatBoostClassifier CatBoostRegressor CatBoost",
    "torch": "Size Tensor device bfloat16 bool cfloat complex64 complex128 double float float16 float32 float64 half "
    "int int16 int32 int64 int8 long short uint8 quint8 qint8 qint32 per_tensor_affine per_channel_affine strided "
    "BFloat16Storage BoolStorage ByteStorage CharStorage ComplexDoubleStorage ComplexFloatStorage DoubleStorage "
    "FloatStorage HalfStorage IntStorage LongStorage QInt32Storage QInt8Storage QUInt8Storage ShortStorage",
    "torch._utils": "_rebuild_tensor _rebuild_tensor_v2 _rebuild_tensor_v3 _rebuild_parameter "
    "_rebuild_parameter_with_state _rebuild_qtensor _rebuild_sparse_tensor _rebuild_sparse_csr_tensor "
    "_rebuild_meta_tensor_no_storage _rebuild_nested_tensor",
    "torch._tensor": "_rebuild_from_type_v2",
    "torch.nn.parameter": "Parameter Buffer",
    "torch.serialization": "_get_layout",
    "torch.storage": "UntypedStorage TypedStorage",
}
ALLOWED = frozenset(
    (module, name)
    for table in (_LISTED, SKLEARN)
    for module, names in table.items()
    for name in names.split()
)


def canonical(module: str) -> str:
    """A module under the name it has today: Python 2's built-ins, and NumPy 2's move of its core."""
    module = {"__builtin__": "builtins", "copy_reg": "copyreg"}.get(module, module)
    return (
        "numpy._core" + module[10:] if module == "numpy.core" or module.startswith("numpy.core.") else module
    )


def judge(module: str, name: str) -> str:
    """What it means that a file names this global: clean, suspicious or malicious."""
    if (canonical(module), name) in ALLOWED:
        return CLEAN
    root = module.partition(".")[0].strip()
    dotted = f"{module}.{name}"
    if any(dotted == abused or dotted.startswith(abused + ".") for abused in ABUSED):
        return MALICIOUS
    return MALICIOUS if root in DANGEROUS and root not in MIXED else SUSPICIOUS
