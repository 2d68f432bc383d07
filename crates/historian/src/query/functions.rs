//! The functions that Tidemill adds to SQL: patterns over paths and words for qualities. What is not here: functions of
//! DataFusion, and the bounds put on some of them ([`super::bounds`]).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, StringViewArray, UInt32Array};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, plan_datafusion_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use tidemill_core::{Pattern, Quality, SignalPath};

/// The name of [`Function::Matches`].
pub(crate) const MATCHES: &str = "matches";

/// A function, with what the reference page says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Function {
    Matches,
    QualityName,
    IsGood,
    IsUncertain,
    IsBad,
}

impl Function {
    pub(crate) const ALL: [Function; 5] =
        [Function::Matches, Function::QualityName, Function::IsGood, Function::IsUncertain, Function::IsBad];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Function::Matches => MATCHES,
            Function::QualityName => "quality_name",
            Function::IsGood => "is_good",
            Function::IsUncertain => "is_uncertain",
            Function::IsBad => "is_bad",
        }
    }

    /// How it is called and what it gives.
    pub(crate) fn description(self) -> (&'static str, &'static str) {
        match self {
            Function::Matches => (
                "matches(signal, pattern)",
                "whether the pattern means the path; `+` or `*` is one level, `#` or `**` the rest",
            ),
            Function::QualityName => ("quality_name(quality)", "the code's name, such as `Bad_NoCommunication`"),
            Function::IsGood => ("is_good(quality)", "whether the value can be used without reservation"),
            Function::IsUncertain => ("is_uncertain(quality)", "whether the value can be used with reservation"),
            Function::IsBad => ("is_bad(quality)", "whether the value must not be used"),
        }
    }
}

/// All of them.
pub(crate) fn all() -> Vec<Arc<ScalarUDF>> {
    Function::ALL.into_iter().map(|function| Arc::new(ScalarUDF::from(Udf::new(function)))).collect()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Udf {
    function: Function,
    signature: Signature,
}

impl Udf {
    fn new(function: Function) -> Udf {
        let arguments = match function {
            Function::Matches => TypeSignature::String(2),
            _ => TypeSignature::Coercible(vec![datafusion::logical_expr::Coercion::new_implicit(
                datafusion::logical_expr::TypeSignatureClass::Integer,
                Vec::new(),
                datafusion::common::types::NativeType::Int64,
            )]),
        };
        Udf { function, signature: Signature::new(arguments, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Udf {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.function {
            Function::QualityName => DataType::Utf8View,
            _ => DataType::Boolean,
        })
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalar = call.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let rows = if scalar { 1 } else { call.number_rows };
        let made = match self.function {
            Function::Matches => matches(&call.args, rows)?,
            function => of_quality(function, &call.args, rows)?,
        };
        match scalar {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?)),
            false => Ok(ColumnarValue::Array(made)),
        }
    }
}

fn argument(arguments: &[ColumnarValue], number: usize) -> Result<&ColumnarValue> {
    arguments.get(number).ok_or_else(|| plan_datafusion_err!("an argument is missing"))
}

fn strings(argument: &ColumnarValue, rows: usize) -> Result<StringViewArray> {
    let array = cast(&argument.to_array(rows)?, &DataType::Utf8View)?;
    array.as_any().downcast_ref::<StringViewArray>().cloned().ok_or_else(|| exec_datafusion_err!("expected text"))
}

fn matches(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let paths = strings(argument(arguments, 0)?, rows)?;
    let patterns = strings(argument(arguments, 1)?, rows)?;
    let read = |text: &str| Pattern::new(text).map_err(|error| plan_datafusion_err!("{error}"));
    let mut compiled: Option<(String, Pattern)> = None;
    let mut made = Vec::with_capacity(rows);
    let mut before: Option<(&str, bool)> = None;
    for (path, pattern) in paths.iter().zip(patterns.iter()) {
        let (Some(path), Some(pattern)) = (path, pattern) else {
            made.push(None);
            continue;
        };
        let same = compiled.as_ref().is_some_and(|(text, _)| text == pattern);
        if !same {
            compiled = Some((pattern.to_owned(), read(pattern)?));
            before = None;
        }
        // Rows of a signal stand together: one answer serves them all.
        let answer = match before {
            Some((known, answer)) if known == path => answer,
            _ => {
                let path = SignalPath::new(path);
                compiled.as_ref().is_some_and(|(_, pattern)| path.is_ok_and(|path| pattern.matches(&path)))
            }
        };
        before = Some((path, answer));
        made.push(Some(answer));
    }
    Ok(Arc::new(BooleanArray::from(made)))
}

fn of_quality(function: Function, arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let codes = cast(&argument(arguments, 0)?.to_array(rows)?, &DataType::UInt32)?;
    let codes =
        codes.as_any().downcast_ref::<UInt32Array>().ok_or_else(|| exec_datafusion_err!("expected a quality"))?;
    let qualities = codes.iter().map(|code| code.map(Quality));
    let test = |test: fn(Quality) -> bool| -> ArrayRef {
        Arc::new(qualities.clone().map(|quality| quality.map(test)).collect::<BooleanArray>())
    };
    Ok(match function {
        Function::IsGood => test(Quality::is_good),
        Function::IsUncertain => test(Quality::is_uncertain),
        Function::IsBad => test(Quality::is_bad),
        _ => Arc::new(qualities.map(|quality| quality.map(Quality::name)).collect::<StringViewArray>()),
    })
}
